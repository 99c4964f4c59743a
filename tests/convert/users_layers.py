"""Layers and models as users write them, that hold BatchNormalization in their own ways."""

from dataclasses import dataclass

import keras
from keras.layers import BatchNormalization, Conv2D, Dense


@keras.saving.register_keras_serializable(package="tests")
class Residual(keras.layers.Layer):
    """Two convolutions beside the identity; its norms are an attribute, an item of a list and one of a dict."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.first = Conv2D(filters, 3, padding="same", bias_initializer="random_normal")
        self.second = Conv2D(filters, 3, padding="same", bias_initializer="random_normal")
        self.norm = BatchNormalization(name="attribute")
        self.in_list = [BatchNormalization(name="listed")]
        self.in_dict = {"last": BatchNormalization(name="keyed")}

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(input_shape)
        for norm in (self.norm, *self.in_list, *self.in_dict.values()):
            norm.build(input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        x = self.first(self.norm(inputs, training=training))
        x = self.in_list[0](x, training=training)
        x = self.second(keras.ops.relu(x))
        return inputs + self.in_dict["last"](x, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="tests")
class NormCell(keras.layers.Layer):
    """A recurrent cell with a norm inside."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units
        self.of_inputs = Dense(units, bias_initializer="random_normal")
        self.of_state = Dense(units, use_bias=False)
        self.norm = BatchNormalization()

    def build(self, input_shape):
        self.of_inputs.build(input_shape)
        self.of_state.build((None, self.units))
        self.norm.build((None, self.units))
        super().build(input_shape)

    def call(self, inputs, states, training=None):
        x = self.norm(self.of_inputs(inputs), training=training)
        state = keras.ops.tanh(x + self.of_state(states[0]))
        return state, [state]

    def get_initial_state(self, batch_size=None):
        return [keras.ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class Network(keras.Model):
    """A model with a `call` of its own, whose blocks are in a list."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stem = Conv2D(filters, 3, padding="same", bias_initializer="random_normal")
        self.norm = BatchNormalization()
        self.blocks = [Residual(filters, name=f"block{index}") for index in range(2)]
        self.head = Dense(5)

    def build(self, input_shape):
        self.stem.build(input_shape)
        maps = (*input_shape[:-1], self.filters)
        for layer in (self.norm, *self.blocks):
            layer.build(maps)
        self.head.build((None, self.filters))
        super().build(input_shape)

    def call(self, inputs, training=None):
        x = keras.ops.relu(self.norm(self.stem(inputs), training=training))
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(keras.ops.mean(x, axis=(1, 2)))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="tests")
class Backbone(keras.Model):
    """A functional model by a class of its own, as KerasHub's backbones are, with features by name."""

    def __init__(self, filters, **kwargs):
        inputs = keras.Input((None, None, 3))
        features = {}
        x = inputs
        for level in (1, 2):
            x = Conv2D(filters, 3, strides=2, padding="same", bias_initializer="random_normal", name=f"conv{level}")(x)
            x = keras.ops.relu(BatchNormalization(name=f"norm{level}")(x))
            features[f"P{level}"] = x
        super().__init__(inputs=inputs, outputs=features, **kwargs)
        self.filters = filters

    def get_config(self):
        return {"name": self.name, "trainable": self.trainable, "filters": self.filters}


class OwnNormalization(BatchNormalization):
    """A norm that computes something of its own."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


@dataclass
class Scale:
    """Something that Keras can't put into a config."""

    value: float


class Forgetful(keras.layers.Layer):
    """A layer with a norm, that can't be made again from its config."""

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.norm = BatchNormalization(name="inside")

    def build(self, input_shape):
        self.norm.build(input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        return self.scale.value * self.norm(inputs, training=training)


class Lazy(Network):
    """A network with a norm in a list that it never calls."""

    def __init__(self, filters, **kwargs):
        super().__init__(filters, **kwargs)
        self.spare = [BatchNormalization(name="unused")]
