"""A converted model whose own code makes BatchNormalization comes back from a file all the same."""

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization, Conv2D

from convert.models import IMAGE, IN_PLACE_ONLY, images
from convert.reachable import reachable
from convert.users_layers import Backbone, Network, Residual
from keras_gn.convert import conversion_report, convert_bn_to_gn
from keras_gn.convert.errors import ConversionError
from keras_gn.convert.maker import Maker, class_of
from keras_gn.layers import GroupNormalization


class Late(keras.layers.Layer):
    """Makes its norm when it is built; unknown to Keras' registry."""

    def build(self, input_shape):
        self.norm = BatchNormalization(name="late")
        self.norm.build(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        return self.norm(inputs)


@keras.saving.register_keras_serializable(package="tests")
class CountsItsNorms(keras.layers.Layer):
    """Makes as many norms as it says now, whatever it said when it was saved."""

    count = 2

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norms = [BatchNormalization() for _ in range(self.count)]

    def build(self, input_shape):
        for norm in self.norms:
            norm.build(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        for norm in self.norms:
            inputs = norm(inputs)
        return inputs


@keras.saving.register_keras_serializable(package="tests")
class CallOnly(keras.layers.Layer):
    """As most users write one: nothing is built before the first call."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = Conv2D(filters, 3, padding="same", bias_initializer="random_normal")
        self.norm = BatchNormalization()

    def call(self, inputs):
        return inputs + self.norm(self.conv(inputs))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def residual_model():
    """A user's layer between Keras' own, in a nested model."""
    inner = keras.Sequential([keras.Input((None, None, 8)), Residual(8, name="residual")], name="inner")
    return keras.Sequential([keras.Input(IMAGE), Conv2D(8, 3, bias_initializer="random_normal"), inner])


def reload(model, path, **arguments):
    model.save(path)
    return keras.models.load_model(path, **arguments)


def assert_same(model, other):
    assert reachable(other, BatchNormalization) == []
    assert len(reachable(other, GroupNormalization)) == len(reachable(model, GroupNormalization))
    assert np.array_equal(model(images(), training=False), other(images(), training=False))
    assert [class_of(layer) for layer in other.layers] == [class_of(layer) for layer in model.layers]


@pytest.mark.parametrize("make", [residual_model, lambda: built(Network(8))], ids=["residual", "subclassed"])
def test_it_comes_back_from_a_file_and_again_from_another(make, tmp_path):
    converted = convert_bn_to_gn(make())
    assert conversion_report(converted).notes == ()
    once = reload(converted, tmp_path / "once.keras")
    assert_same(converted, once)
    assert_same(converted, reload(once, tmp_path / "twice.keras"))


def built(model):
    model(images())
    return model


def test_groups_that_were_chosen_come_back(tmp_path):
    converted = convert_bn_to_gn(residual_model(), groups=2)
    again = reload(converted, tmp_path / "model.keras")
    assert {norm.groups for norm in reachable(again, GroupNormalization)} == {2}


def test_the_innermost_layer_that_is_in_the_config_is_the_maker():
    converted = convert_bn_to_gn(residual_model())
    residual = converted.get_layer("inner").get_layer("residual")
    assert isinstance(residual, Maker)
    assert isinstance(residual, Residual)
    assert type(residual).__name__ == "Residual"
    assert not isinstance(converted, Maker)
    network = convert_bn_to_gn(built(Network(8)))
    assert isinstance(network, Maker)
    assert not any(isinstance(block, Maker) for block in network.blocks)


def test_a_backbone_comes_back_in_a_model_and_alone(tmp_path):
    backbone = Backbone(8)
    outputs = keras.layers.Dense(3)(backbone(backbone.input)["P2"])
    converted = convert_bn_to_gn(keras.Model(backbone.input, outputs))
    assert_same(converted, reload(converted, tmp_path / "model.keras"))
    alone = next(layer for layer in converted.layers if isinstance(layer, Backbone))
    again = reload(alone, tmp_path / "backbone.keras")
    assert reachable(again, BatchNormalization) == []
    assert np.array_equal(again(images())["P2"], alone(images())["P2"])


def test_norms_made_when_a_layer_is_built_and_custom_objects(tmp_path):
    converted = convert_bn_to_gn(keras.Sequential([keras.Input(IMAGE), Conv2D(8, 3), Late()]))
    assert_same(converted, reload(converted, tmp_path / "model.keras", custom_objects={"Late": Late}))


@pytest.mark.filterwarnings("ignore:.build\\(\\). was called on layer")  # Keras' own, for such layers
def test_layers_without_a_build_method(tmp_path):
    inputs = keras.Input(IMAGE)
    converted = convert_bn_to_gn(keras.Model(inputs, CallOnly(8)(Conv2D(8, 3)(inputs))))
    assert_same(converted, reload(converted, tmp_path / "model.keras"))


def test_what_is_converted_in_two_turns_comes_back(tmp_path):
    first = convert_bn_to_gn(residual_model(), layer_filter=lambda norm: norm.name == "attribute")
    both = convert_bn_to_gn(first)
    assert conversion_report(both).notes == ()
    assert_same(both, reload(both, tmp_path / "model.keras"))
    assert len(reachable(first, BatchNormalization)) == 2


def test_a_converted_layer_beside_a_new_one(tmp_path):
    inputs = keras.Input((None, None, 8))
    converted = convert_bn_to_gn(keras.Sequential([inputs, Residual(8, name="old")])).layers[0]
    model = convert_bn_to_gn(keras.Model(inputs, Residual(8, name="new")(converted(inputs))))
    again = reload(model, tmp_path / "model.keras")
    assert reachable(again, BatchNormalization) == []
    x = images(16, 16, 8)
    assert np.array_equal(model(x), again(x))


def test_in_place_too(tmp_path):
    model = residual_model()
    convert_bn_to_gn(model, inplace=True)
    assert_same(model, reload(model, tmp_path / "model.keras"))


def test_it_clones_and_keeps_its_compilation(tmp_path):
    model = residual_model()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    converted = convert_bn_to_gn(model)
    again = reload(converted, tmp_path / "model.keras")
    assert again.optimizer.get_config() == converted.optimizer.get_config()
    clone = keras.models.clone_model(converted)
    assert reachable(clone, BatchNormalization) == []


def test_code_that_has_changed_is_named(tmp_path, monkeypatch):
    model = built(keras.Sequential([keras.Input(IMAGE), Conv2D(8, 3), CountsItsNorms(name="changing")]))
    convert_bn_to_gn(model).save(tmp_path / "model.keras")
    monkeypatch.setattr(CountsItsNorms, "count", 1)
    with pytest.raises(ConversionError, match=r"'changing' of type CountsItsNorms .* at norms\[1\]"):
        keras.models.load_model(tmp_path / "model.keras")


def test_a_model_without_a_config_converts_in_place_as_before():
    kind = IN_PLACE_ONLY["without a config"]
    model = kind.make()
    convert_bn_to_gn(model, inplace=True)
    assert not any(isinstance(layer, Maker) for layer in reachable(model, keras.layers.Layer))
