"""The small networks on top of the pyramid, each a functional model of its own: proposals, boxes, masks."""

import keras
from keras import layers

from zoo.errors import unknown_name
from zoo.models.blocks import conv, he_normal, relu
from zoo.models.norms import Norm

BOX_HEADS = ("2fc", "4conv1fc")
CONVS = 4


def rpn_head(*, channels: int, anchors: int) -> keras.Model:
    """The region proposal network's head: 3x3 convolution, ReLU, two 1x1 convolutions; one for all levels.

    No norm, in the Group Normalization paper's detectors neither. (Faster R-CNN, arXiv 1506.01497, section 3.1.)

    Args:
        channels: Of the maps.
        anchors: A, per place.

    Returns:
        [B, H, W, channels] -> {"objectness": [B, H, W, A], "deltas": [B, H, W, 4 A]}, float32; the deltas are
        (dy, dx, dh, dw) of the first anchor, then of the second, ...

    >>> sorted(rpn_head(channels=8, anchors=3).output)
    ['deltas', 'objectness']
    """
    image = keras.Input((None, None, channels), name="rpn_input")
    x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=_normal(0.01), name="rpn_conv")(image)
    x = relu(x, name="rpn_relu")
    outputs = {
        name: layers.Conv2D(filters, 1, kernel_initializer=_normal(0.01), dtype="float32", name=f"rpn_{name}")(x)
        for name, filters in (("objectness", anchors), ("deltas", 4 * anchors))
    }
    return keras.Model(image, outputs, name="rpn_head")


def box_head(
    *,
    kind: str,
    channels: int,
    num_classes: int,
    norm: Norm,
    units: int = 1024,
    bins: int = 7,
    class_agnostic: bool = False,
) -> keras.Model:
    """The head that classifies a region and refines its box.

    "2fc": two fully connected layers with ReLU (FPN, arXiv 1612.03144, section 5.2), no norm.
    "4conv1fc": four 3x3 convolutions, each with `norm` and ReLU, and one fully connected layer
    (Group Normalization, arXiv 1803.08494, section 4.2).

    Args:
        kind: One of `BOX_HEADS`.
        channels: Of the regions' features, and of the convolutions.
        num_classes: K, without the background.
        norm: Makes the normalization layers of the convolutions.
        units: Of each fully connected layer.
        bins: Side of the regions' features.
        class_agnostic: Whether all classes share one box.

    Returns:
        [R, bins, bins, channels] -> {"class_logits": [R, K + 1], "box_deltas": [R, K, 4] (or [R, 1, 4])}, float32.
        Class 0 is the background; row k of the deltas, (dy, dx, dh, dw), belongs to class k + 1.

    Raises:
        UserError: If `kind` is unknown or `norm` does not fit.

    >>> from zoo.models.norms import parse_norm
    >>> head = box_head(kind="4conv1fc", channels=32, num_classes=5, norm=parse_norm("gn"), units=8)
    >>> head.output["class_logits"].shape, head.output["box_deltas"].shape
    ((None, 6), (None, 5, 4))
    """
    if kind not in BOX_HEADS:
        raise unknown_name("box_head", str(kind), BOX_HEADS)
    region = keras.Input((bins, bins, channels), name="box_input")
    x = region
    if kind == "4conv1fc":
        x = _convolutions(x, channels, norm=norm, name="box")
    x = layers.Flatten(name="box_flatten")(x)
    for index in range(1, 3 if kind == "2fc" else 2):
        x = layers.Dense(units, kernel_initializer=_xavier(), name=f"box_fc{index}")(x)
        x = relu(x, name=f"box_fc{index}_relu")
    outputs = _classes_and_boxes(x, num_classes, class_agnostic=class_agnostic)
    return keras.Model(region, outputs, name="box_head")


def mean_box_head(*, channels: int, num_classes: int, bins: int, class_agnostic: bool = False) -> keras.Model:
    """`box_head` after the last stage of a residual network: the mean over the region is all that is left to do
    (ResNet, arXiv 1512.03385, appendix A; Mask R-CNN, arXiv 1703.06870, figure 4, left).

    Args:
        channels: Of the stage.
        num_classes: K, without the background.
        bins: Side of the stage's map.
        class_agnostic: Whether all classes share one box.

    >>> mean_box_head(channels=32, num_classes=5, bins=7).output["box_deltas"].shape
    (None, 5, 4)
    """
    region = keras.Input((bins, bins, channels), name="box_input")
    x = layers.GlobalAveragePooling2D(name="box_mean")(region)
    outputs = _classes_and_boxes(x, num_classes, class_agnostic=class_agnostic)
    return keras.Model(region, outputs, name="box_head")


def mask_head(
    *,
    channels: int,
    num_classes: int,
    norm: Norm,
    bins: int = 14,
    class_agnostic: bool = False,
    convs: int = CONVS,
    region_channels: int | None = None,
) -> keras.Model:
    """The head that outlines a region's object: four 3x3 convolutions with `norm` and ReLU, a 2x2 deconvolution
    with stride 2 and ReLU, a 1x1 convolution (arXiv 1703.06870, figure 4, right; norm: 1803.08494, section 4.2).

    Args:
        channels: Of the convolutions and the deconvolution.
        num_classes: K, without the background.
        norm: Makes the normalization layers of the 3x3 convolutions.
        bins: Side of the regions' features.
        class_agnostic: Whether all classes share one mask (section 4.2 of the paper compares).
        convs: How many 3x3 convolutions; 0 after the last stage of a residual network (figure 4, left).
        region_channels: Of the regions' features; None: `channels`.

    Returns:
        [R, bins, bins, channels] -> [R, 2 bins, 2 bins, K] (or 1 instead of K) logits, float32; channel k is
        the object class k's.

    Raises:
        UserError: If `norm` does not fit.

    >>> from zoo.models.norms import parse_norm
    >>> mask_head(channels=32, num_classes=5, norm=parse_norm("gn")).output.shape
    (None, 28, 28, 5)
    """
    region = keras.Input((bins, bins, region_channels or channels), name="mask_input")
    x = _convolutions(region, channels, norm=norm, name="mask", count=convs)
    x = layers.Conv2DTranspose(channels, 2, strides=2, kernel_initializer=he_normal(), name="mask_deconv")(x)
    x = relu(x, name="mask_deconv_relu")
    masks = 1 if class_agnostic else num_classes
    logits = layers.Conv2D(masks, 1, kernel_initializer=_normal(0.001), dtype="float32", name="mask_logits")(x)
    return keras.Model(region, logits, name="mask_head")


def _classes_and_boxes(x: keras.KerasTensor, num_classes: int, *, class_agnostic: bool) -> dict[str, keras.KerasTensor]:
    boxes = 1 if class_agnostic else num_classes
    logits = layers.Dense(num_classes + 1, kernel_initializer=_normal(0.01), dtype="float32", name="class_logits")(x)
    deltas = layers.Dense(4 * boxes, kernel_initializer=_normal(0.001), dtype="float32", name="box_deltas")(x)
    deltas = layers.Reshape((boxes, 4), dtype="float32", name="box_deltas_by_class")(deltas)
    return {"class_logits": logits, "box_deltas": deltas}


def _convolutions(
    x: keras.KerasTensor, channels: int, *, norm: Norm, name: str, count: int = CONVS
) -> keras.KerasTensor:
    for index in range(1, count + 1):
        x = conv(x, channels, 3, norm=norm, name=f"{name}_conv{index}")
        x = relu(norm(x, name=f"{name}_norm{index}"), name=f"{name}_relu{index}")
    return x


def _normal(deviation: float) -> keras.Initializer:
    return keras.initializers.RandomNormal(stddev=deviation)


def _xavier() -> keras.Initializer:
    return keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
