"""Small networks with batch normalization, of the three kinds whose conversion is measured."""

import keras
from keras import KerasTensor, layers

MOMENTUM = 0.95  # Of the moving statistics: they must follow within a short training.


def small_resnet(shape: tuple[int, int, int]) -> keras.Model:
    """A residual network of two blocks a stage for small images, 0.7 million parameters; its stem halves the image."""
    image = keras.Input(shape, name="image")
    x = _conv_norm_relu(image, 32, strides=2)
    for stage, width in enumerate((32, 64, 128)):
        for block in range(2):
            x = _residual_block(x, width, strides=2 if stage > 0 and block == 0 else 1)
    return _classifier(image, x, name="small_resnet")


def small_mobilenet() -> keras.Model:
    """Depthwise separable convolutions for 28 x 28 gray, 0.1 million parameters."""
    image = keras.Input([28, 28, 1], name="image")
    x = _conv_norm_relu(image, 32)
    for width, strides in ((64, 2), (128, 1), (128, 1), (256, 2), (256, 1)):
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(_norm(x))
        x = _conv_norm_relu(x, width, kernel=1)
    return _classifier(image, x, name="small_mobilenet")


def small_densenet() -> keras.Model:
    """Three dense blocks of 3, 4 and 5 layers for 28 x 28 gray, 0.2 million parameters; the stem halves the image."""
    image = keras.Input([28, 28, 1], name="image")
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(image)
    for block, depth in enumerate((3, 4, 5)):
        if block:
            x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(layers.ReLU()(_norm(x)))
            x = layers.AveragePooling2D(2, padding="same")(x)
        for _ in range(depth):
            new = layers.Conv2D(64, 1, use_bias=False)(layers.ReLU()(_norm(x)))
            new = layers.Conv2D(16, 3, padding="same", use_bias=False)(layers.ReLU()(_norm(new)))
            x = layers.Concatenate()([x, new])
    return _classifier(image, layers.ReLU()(_norm(x)), name="small_densenet")


def tiny_resnet() -> keras.Model:
    """For a trial on digits, 64 x 64 RGB: hardly anything to compute."""
    image = keras.Input([64, 64, 3], name="image")
    x = layers.AveragePooling2D(8)(image)
    x = _residual_block(_conv_norm_relu(x, 32), 32, strides=1)
    return _classifier(image, x, name="tiny_resnet")


def application(name: str) -> keras.Model:
    """keras.applications' network of that name for digits, 64 x 64 RGB, with random weights.

    Its batch normalization is published with a momentum of 0.99 or 0.999, whose statistics would lag in a training of
    some hundred steps, so here it is `MOMENTUM`.
    """
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return model


def _norm(x: KerasTensor, *, gamma: str = "ones") -> KerasTensor:
    return layers.BatchNormalization(momentum=MOMENTUM, gamma_initializer=gamma)(x)


def _conv_norm_relu(x: KerasTensor, filters: int, *, kernel: int = 3, strides: int = 1) -> KerasTensor:
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(_norm(x))


def _residual_block(x: KerasTensor, width: int, *, strides: int) -> KerasTensor:
    shortcut = x
    if strides > 1 or x.shape[-1] != width:
        shortcut = _norm(layers.Conv2D(width, 1, strides=strides, use_bias=False)(x))
    x = _conv_norm_relu(x, width, strides=strides)
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.Add()([shortcut, _norm(x, gamma="zeros")]))


def _classifier(image: KerasTensor, x: KerasTensor, *, name: str) -> keras.Model:
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name=name)
