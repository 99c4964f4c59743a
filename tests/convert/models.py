"""Small models with BatchNormalization, one of every kind; a literal table at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import Input, Model, Sequential, layers, ops
from keras.layers import Add, BatchNormalization, Concatenate, Dense, GlobalAveragePooling2D, ReLU, TimeDistributed

from convert.reachable import reachable
from convert.users_layers import Backbone, Forgetful, Network, NormCell, Residual, Scale

IMAGE = (16, 16, 3)


def images(*shape):
    """A batch of 8 samples whose channels differ in mean and deviation."""
    random = np.random.default_rng(0)
    shape = shape or IMAGE
    mean, deviation = random.normal(size=shape[-1]), random.uniform(0.5, 2, shape[-1])
    return random.normal(mean, deviation, (8, *shape)).astype("float32")


def tokens():
    """Sequences that end in padding, which is 0."""
    values = np.random.default_rng(0).integers(1, 20, (8, 12))
    values[:, 9:] = 0
    return values


def padded_sequences():
    values = images(12, 4)
    values[:, 9:] = 0
    return values


def conv(filters=32, **settings):
    """A convolution whose channels have means: without, gamma could be kept as it is."""
    return layers.Conv2D(filters, 3, padding="same", bias_initializer=_wide_bias(), **settings)


def _wide_bias():
    return keras.initializers.RandomNormal(stddev=1.0)


def _classified(inputs, x):
    return Model(inputs, Dense(5)(GlobalAveragePooling2D()(x)))


def functional(**settings):
    inputs = Input(IMAGE)
    x = ReLU()(BatchNormalization(name="norm1", **settings)(conv(name="conv1")(inputs)))
    y = BatchNormalization(name="norm2", **settings)(conv(name="conv2")(layers.Dropout(0.1)(x)))
    return _classified(inputs, Add()([x, y]))


def sequential():
    return Sequential([Input(IMAGE), conv(), BatchNormalization(), ReLU(), conv(48), BatchNormalization()])


def nested():
    """Functional in Sequential in Functional in Functional."""
    maps = Input((16, 16, 32))
    innermost = Model(maps, maps + BatchNormalization(name="norm")(conv()(maps)), name="innermost")
    middle = Sequential([Input((16, 16, 32)), innermost, ReLU(), BatchNormalization(name="norm")], name="middle")
    image = Input(IMAGE)
    outer = Model(image, middle(BatchNormalization(name="norm")(conv()(image))), name="outer")
    inputs = Input(IMAGE)
    return _classified(inputs, outer(inputs))


def shared_norm():
    inputs = Input(IMAGE)
    norm = BatchNormalization()
    return _classified(inputs, Add()([norm(conv()(inputs)), ReLU()(norm(conv()(inputs)))]))


def shared_model():
    inputs = Input(IMAGE)
    block = Sequential([Input((16, 16, 32)), conv(), BatchNormalization(), ReLU()], name="block")
    return _classified(inputs, block(block(conv()(inputs))))


def shared_by_models():
    """One norm that two nested models hold."""
    norm = BatchNormalization(name="shared")
    branches = []
    for name in ("left", "right"):
        maps = Input((16, 16, 32))
        branches.append(Model(maps, norm(conv()(maps)), name=name))
    inputs = Input(IMAGE)
    x = conv()(inputs)
    return _classified(inputs, Concatenate()([branch(x) for branch in branches]))


def time_distributed_norm():
    inputs = Input((3, 8, 8, 3))
    x = TimeDistributed(BatchNormalization())(TimeDistributed(conv())(inputs))
    return Model(inputs, TimeDistributed(GlobalAveragePooling2D())(x))


def time_distributed_model():
    frame = Sequential([Input((8, 8, 3)), conv(), BatchNormalization(), ReLU(), GlobalAveragePooling2D()])
    return Sequential([Input((3, 8, 8, 3)), TimeDistributed(frame), layers.LSTM(4)])


def recurrent_cell():
    return Sequential([Input((5, 6)), layers.RNN(NormCell(16), return_sequences=True)])


def bidirectional_cell():
    return Sequential([Input((5, 6)), layers.Bidirectional(layers.RNN(NormCell(16)))])


def residual_layer():
    return Sequential([Input(IMAGE), conv(), Residual(32), ReLU(), Residual(32), GlobalAveragePooling2D()])


def residual_layer_in_a_nested_model():
    return Sequential([Input(IMAGE), conv(), Sequential([Input((16, 16, 32)), Residual(32)]), BatchNormalization()])


def subclassed():
    model = Network(32)
    model.build((None, *IMAGE))
    return model


def backbone():
    return Backbone(32, name="backbone")


def backbone_with_head():
    inputs = Input(IMAGE)
    return _classified(inputs, backbone()(inputs)["P2"])


def lambdas():
    inputs = Input(IMAGE)
    x = layers.Lambda(lambda maps: 2 * maps + 1, output_shape=(16, 16, 32))(conv()(inputs))
    return _classified(
        inputs, layers.Lambda(lambda maps: maps * maps, output_shape=(16, 16, 32))(BatchNormalization()(x))
    )


def operations():
    inputs = Input(IMAGE)
    x = ops.relu(BatchNormalization()(conv()(inputs) + 1)) * 2
    x = ops.concatenate([x, BatchNormalization()(ops.transpose(x, (0, 2, 1, 3)))], axis=-1)
    return Model(inputs, ops.mean(x, axis=(1, 2)))


def inputs_and_outputs():
    inputs = {"image": Input(IMAGE, name="image"), "depth": Input((16, 16, 1), name="depth")}
    x = BatchNormalization()(Concatenate()([conv()(inputs["image"]), conv(16)(inputs["depth"])]))
    outputs = {"maps": ReLU()(x), "classes": Dense(5)(GlobalAveragePooling2D()(BatchNormalization()(conv()(x))))}
    return Model(inputs, outputs)


def embedding_mask():
    return Sequential([Input((12,)), layers.Embedding(20, 32, mask_zero=True), BatchNormalization(), layers.LSTM(4)])


def masking():
    return Sequential([Input((12, 4)), layers.Masking(), Dense(32), BatchNormalization(), layers.GRU(4)])


def channels_first():
    inputs = Input((3, 16, 16))
    x = layers.Permute((3, 1, 2))(conv()(layers.Permute((2, 3, 1))(inputs)))
    x = ReLU()(BatchNormalization(axis=1)(x))
    return Model(inputs, ops.mean(x, axis=(2, 3)))


def frozen_norm():
    model = functional()
    model.get_layer("norm1").trainable = False
    return model


def frozen_inner_model():
    model = nested()
    model.get_layer("outer").get_layer("middle").trainable = False
    return model


def frozen_whole():
    model = sequential()
    model.trainable = False
    return model


def regularized():
    return functional(
        gamma_regularizer=keras.regularizers.L2(0.1),
        beta_regularizer="l1",
        gamma_constraint=keras.constraints.NonNeg(),
        beta_constraint=keras.constraints.MaxNorm(100.0),
    )


def of_type(policy):
    """The functional model, all of it of one dtype policy."""
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return functional()
    finally:
        keras.config.set_dtype_policy(usual)


def after_dense():
    return Sequential([Input((20,)), Dense(32), BatchNormalization(), ReLU(), Dense(5)])


def on_one_position():
    return Sequential([Input(IMAGE), conv(), layers.AveragePooling2D(16), BatchNormalization(), ReLU()])


def sequences():
    return Sequential([Input((None, 6)), layers.Conv1D(32, 3, bias_initializer=_wide_bias()), BatchNormalization()])


def clips():
    return Sequential([Input((4, 8, 8, 3)), layers.Conv3D(32, 3, bias_initializer=_wide_bias()), BatchNormalization()])


def trained():
    model = functional()
    model.compile(keras.optimizers.Adam(1e-2), "mse", metrics=["mae"], jit_compile=False)
    model.fit(images(), np.ones((8, 5)), batch_size=4, epochs=2, verbose=0)
    return model


def inside_another():
    """A backbone with a head, whose layers are those of a model that lives on."""
    base = functional()
    return Model(base.input, Dense(3)(base.get_layer("norm2").output))


def give_statistics(model, inputs):
    """Random gamma and beta, and the moving statistics of `inputs`, for every BatchNormalization."""
    norms = sorted(reachable(model, BatchNormalization), key=lambda norm: norm.path)
    settings = [(norm.momentum, norm.trainable) for norm in norms]
    for seed, norm in enumerate(norms):
        random = np.random.default_rng(seed)
        for weight, mean in ((norm.gamma, 1.0), (norm.beta, 0.0)):
            if weight is not None:
                weight.assign(random.normal(mean, 0.3, weight.shape))
        norm.momentum, norm.trainable = 0.0, True
    model(inputs, training=True)
    for norm, (momentum, trainable) in zip(norms, settings, strict=True):
        norm.momentum, norm.trainable = momentum, trainable


def without_a_config():
    return Sequential([Input(IMAGE), conv(), Forgetful(Scale(2.0)), ReLU(), GlobalAveragePooling2D()])


def in_a_closure():
    """A norm that only a function knows."""
    norm = BatchNormalization(name="hidden")
    norm.build((None, 16, 16, 32))
    hidden = layers.Lambda(lambda maps: norm(maps), output_shape=(16, 16, 32))
    return Sequential([Input(IMAGE), conv(), hidden, ReLU(), GlobalAveragePooling2D()])


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Args:
        build: Makes it.
        batch_norms: How many distinct ones it has.
        inputs: Makes a batch for it.
        alike: Whether the samples are so large that group normalization can compute nearly the same.
    """

    build: Callable[[], Model]
    batch_norms: int
    inputs: Callable[[], Any] = images
    alike: bool = True

    def make(self) -> Model:
        """The model, with random gamma and beta, and the moving statistics of its inputs; always the same."""
        keras.utils.set_random_seed(0)
        model = self.build()
        give_statistics(model, self.inputs())
        return model


KINDS: dict[str, Kind] = {
    "functional": Kind(functional, 2),
    "sequential": Kind(sequential, 2),
    "nested": Kind(nested, 3),
    "shared norm": Kind(shared_norm, 1, alike=False),
    "shared model": Kind(shared_model, 1, alike=False),
    "TimeDistributed norm": Kind(time_distributed_norm, 1, partial(images, 3, 8, 8, 3)),
    "TimeDistributed model": Kind(time_distributed_model, 1, partial(images, 3, 8, 8, 3)),
    "recurrent cell": Kind(recurrent_cell, 1, partial(images, 5, 6), alike=False),
    "bidirectional cell": Kind(bidirectional_cell, 2, partial(images, 5, 6), alike=False),
    "residual layer": Kind(residual_layer, 6),
    "residual layer in a nested model": Kind(residual_layer_in_a_nested_model, 4),
    "subclassed": Kind(subclassed, 7),
    "backbone": Kind(backbone, 2),
    "backbone with head": Kind(backbone_with_head, 2),
    "lambdas": Kind(lambdas, 1),
    "operations": Kind(operations, 2),
    "inputs and outputs": Kind(inputs_and_outputs, 2, lambda: {"image": images(), "depth": images(16, 16, 1)}),
    "embedding mask": Kind(embedding_mask, 1, tokens, alike=False),
    "masking": Kind(masking, 1, padded_sequences, alike=False),
    "channels first": Kind(channels_first, 1, partial(images, 3, 16, 16)),
    "no center": Kind(partial(functional, center=False), 2),
    "no scale": Kind(partial(functional, scale=False), 2),
    "neither": Kind(partial(functional, center=False, scale=False), 2),
    "renorm": Kind(partial(functional, renorm=True), 2),
    "synchronized": Kind(partial(functional, synchronized=True), 2),
    "frozen norm": Kind(frozen_norm, 2),
    "frozen inner model": Kind(frozen_inner_model, 3),
    "frozen whole": Kind(frozen_whole, 2),
    "mixed_bfloat16": Kind(partial(of_type, "mixed_bfloat16"), 2),
    "mixed_float16": Kind(partial(of_type, "mixed_float16"), 2),
    "float64": Kind(partial(of_type, "float64"), 2),
    "regularized": Kind(regularized, 2),
    "after Dense": Kind(after_dense, 1, partial(images, 20), alike=False),
    "on one position": Kind(on_one_position, 1, alike=False),
    "sequences": Kind(sequences, 1, partial(images, 30, 6)),
    "clips": Kind(clips, 1, partial(images, 4, 8, 8, 3)),
    "trained": Kind(trained, 2),
    "inside another": Kind(inside_another, 2),
}

# Keras can't bring these back from their own configs: they convert in place only.
IN_PLACE_ONLY: dict[str, Kind] = {
    "shared by models": Kind(shared_by_models, 1, alike=False),
    "without a config": Kind(without_a_config, 1),
    "in a closure": Kind(in_a_closure, 1),
}
