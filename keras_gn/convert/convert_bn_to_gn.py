"""BatchNormalization to GroupNormalization."""

from typing import Any

import keras

from keras_gn.convert.convert_norm import convert_norm
from keras_gn.convert.groups import GroupsArgument
from keras_gn.convert.plan import LayerFilter


def convert_bn_to_gn(
    model: keras.Model,
    groups: GroupsArgument = "auto",
    *,
    channels_per_group: int | None = None,
    weights: str = "statistics",
    calibration_data: Any = None,
    calibration_steps: int = 200,
    layer_filter: LayerFilter | None = None,
    inplace: bool = False,
    verbose: bool = False,
) -> keras.Model:
    """A copy of a trained model, with GroupNormalization in place of BatchNormalization and nearly the same function.

    With the group moments that BN's moving statistics imply,

        M_g   = mean of moving_mean_c over the channels c of group g
        S_g^2 = mean of (moving_variance_c + moving_mean_c^2) - M_g^2 + epsilon

    the new weights of channel c in group g are

        gamma'_c = gamma_c * S_g / sqrt(moving_variance_c + epsilon)
        beta'_c  = beta_c + gamma_c * (M_g - moving_mean_c) / sqrt(moving_variance_c + epsilon)

    which gives a sample with these moments exactly what BN gave it. Other samples are normalized by their own
    moments: this is what GroupNormalization is for, and what the conversion costs. Everything else stays as it is:
    names, all other weights bit for bit, sharing, trainable flags, dtype policies, regularizers, constraints.

    Args:
        model: A built Keras model of any kind: functional, sequential, subclassed, nested, with wrappers and the
            user's own layers. It isn't touched, unless `inplace=True`.
        groups: "auto" for groups of a size that the paper shows to train well (16 to 64 channels, or up to an eighth
            of the layer's): the largest, or with `calibration_data` those that err least on it; a number, with the
            nearest that divides the channels into groups of several where it doesn't; -1 for one group a channel; or a
            function `(layer, channels) -> groups`. Never leaves one element a group.
        channels_per_group: The other way to choose, with the nearest divisor of the channels; then `groups` is ignored.
        weights: "statistics" as above; "copy" for BN's own gamma and beta; "reset" for ones and zeros.
        calibration_data: A few hundred inputs without labels, as `predict` takes them: arrays, a dict or list of them
            for several inputs, a `tf.data.Dataset`, a `PyDataset`, or a generator of batches. Gamma and beta are then
            fitted to BN's outputs, layer by layer by least squares. At most 1,024 samples are read.
        calibration_steps: Training steps after that, of batches of 16, in which gamma and beta, and no other weights,
            come nearer to BN's outputs in all layers and of the model, as in `keras_gn.convert.distill`. Needs the
            memory of training; 0 for least squares alone.
        layer_filter: A function of a BatchNormalization that says whether to convert it. The others are kept.
        inplace: Convert `model` itself, instead of a copy by Keras' serialization. If that fails, it is as it was.
        verbose: Whether to show the progress of a calibration.

    Returns:
        The converted model. `keras_gn.conversion_report` tells what was done to each layer. A model that has only
        GroupNormalization already comes back as it is.

    Raises:
        TypeError: If `model` isn't a Keras 3 model, or if data is of an unknown kind.
        ValueError: For a bad argument or data that don't fit the model; as `ConversionError` for a model that isn't
            built, is quantized, has nothing to convert, or can't be copied. The model is then as it was.

    Source: Wu and He, Group Normalization (arXiv 1803.08494), for the layer; the weights follow from both formulas.

    >>> model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=10, alpha=0.35)
    >>> converted = convert_bn_to_gn(model)
    >>> converted.get_layer("bn_Conv1")
    <GroupNormalization name=bn_Conv1, built=True>
    """
    return convert_norm(
        model,
        groups=groups,
        channels_per_group=channels_per_group,
        weights=weights,
        calibration_data=calibration_data,
        calibration_steps=calibration_steps,
        layer_filter=layer_filter,
        inplace=inplace,
        verbose=verbose,
    )
