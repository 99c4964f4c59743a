"""What can't be converted is refused by a message that names it and a way out, and the model stays as it was."""

import keras
import numpy as np
import pytest
from keras import Input, Sequential
from keras.layers import BatchNormalization, Dense

from convert.conftest import all_layers, arrays, identical, weights_of
from convert.models import IMAGE, IN_PLACE_ONLY, KINDS, conv, images
from convert.reachable import reachable
from convert.users_layers import Lazy, Network, OwnNormalization
from keras_gn.convert import ConversionError, conversion_report, convert_bn_to_gn, convert_norm
from keras_gn.layers import GroupNormalization


def dense():
    return Sequential([Input((4,)), Dense(8), Dense(2)], name="plain")


def quantized():
    model = Sequential([Input((4,)), Dense(8, name="head"), BatchNormalization()])
    model.get_layer("head").quantize("int8")
    return model


def diverged():
    model = KINDS["nested"].make()
    model.get_layer("outer").get_layer("middle").get_layer("norm").moving_variance.assign(np.full(32, np.nan))
    return model


def unknown_sizes():
    return Sequential([Input((None, None, 3)), conv(), BatchNormalization(name="norm")])


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (dense, {}, "nothing to convert.*Received: 'plain'"),
        (quantized, {}, "quantized.*Received: .*head.*Convert first"),
        (diverged, {}, "norm.*finite.*NaN"),
        (KINDS["after Dense"].make, {"groups": -1}, "batch_normalization.*single element a group.*groups=32"),
        (KINDS["on one position"].make, {"groups": -1}, "batch_normalization.*single element.*`layer_filter`"),
        (KINDS["after Dense"].make, {"groups": lambda layer, channels: channels}, "single element a group.*groups=32"),
        (KINDS["nested"].make, {"groups": 0}, "`groups` must be .*Received: groups=0"),
        (KINDS["nested"].make, {"groups": -2}, "`groups` must be .*Received: groups=-2"),
        (KINDS["nested"].make, {"groups": 2.5}, "`groups` must be .*Received: groups=2.5"),
        (KINDS["nested"].make, {"groups": True}, "`groups` must be .*Received: groups=True"),
        (KINDS["nested"].make, {"groups": "many"}, "`groups` must be 'auto'.*Received: groups='many'"),
        (KINDS["nested"].make, {"channels_per_group": 0}, "`channels_per_group` must be .*Received: .*=0"),
        (KINDS["nested"].make, {"weights": "keep"}, "`weights` must be one of.*Received: weights='keep'"),
        (KINDS["nested"].make, {"groups": lambda layer, channels: 5}, "divide the 32 channels.*norm.*groups=5.*Choose"),
        (KINDS["nested"].make, {"groups": lambda layer, channels: None}, "outer/norm.*groups=None"),
        (KINDS["nested"].make, {"groups": lambda layer, channels: "x"}, "outer/norm.*groups='x'"),
        (KINDS["nested"].make, {"calibration_data": images(15, 16, 3)}, r"shape.*16, 16, 3.*Received: .*15, 16, 3"),
        (KINDS["nested"].make, {"calibration_data": images()[:0]}, "must hold at least one sample"),
        (KINDS["nested"].make, {"calibration_data": iter(())}, "must hold at least one sample"),
        (KINDS["nested"].make, {"calibration_data": np.full((2, *IMAGE), np.nan)}, "must be finite.*Received: nan"),
        (KINDS["nested"].make, {"calibration_data": [images(), images() * np.inf]}, "must be finite.*of batch 1"),
        (KINDS["subclassed"].make, {"calibration_data": images(16, 16, 4)}, "calibration_data|shape"),
    ],
)
def test_refused_with_a_message_and_left_alone(make, arguments, message, inplace):
    model = make()
    layers = [(layer, type(layer), layer.trainable) for layer in all_layers(model)]
    weights = weights_of(model)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        convert_bn_to_gn(model, **arguments, inplace=inplace)
    assert identical(weights_of(model), weights)
    assert [(layer, type(layer), layer.trainable) for layer in all_layers(model)] == layers
    assert reachable(model, GroupNormalization) == []


@pytest.mark.parametrize("model", [None, "model.keras", object(), keras.Model, BatchNormalization])
def test_not_a_model(model):
    with pytest.raises(TypeError, match=r"`model` must be a keras.Model.*Received: "):
        convert_bn_to_gn(model)


@pytest.mark.parametrize("make", [lambda: Sequential([BatchNormalization()]), lambda: Network(8)])
def test_unbuilt(make):
    with pytest.raises(ValueError, match=r"must be built.*Received: "):
        convert_bn_to_gn(make())


@pytest.mark.parametrize("data", [3, "images", np.array(["a", "b"]), [np.array(["a"])]])
def test_calibration_data_of_no_known_kind(data):
    with pytest.raises(TypeError, match=r"`calibration_data` .*must.*Received: "):
        convert_bn_to_gn(KINDS["nested"].make(), calibration_data=data)


def test_a_layer_filter_that_is_no_function():
    with pytest.raises(TypeError, match=r"`layer_filter`.*Received: "):
        convert_bn_to_gn(KINDS["nested"].make(), layer_filter="norm")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "batch_norm"}, "`to` must be one of.*Received: to='batch_norm'"),
        ({"to": "layer_norm", "groups": 4}, "`groups`.*Received: to='layer_norm', groups=4"),
        ({"to": "frozen_affine", "calibration_data": images()}, "exact"),
        ({"to": "frozen_affine", "weights": "copy"}, "weights='copy'"),
    ],
)
def test_arguments_of_convert_norm(arguments, message):
    with pytest.raises(ValueError, match=message):
        convert_norm(KINDS["nested"].make(), **arguments)


@pytest.mark.parametrize("name", ["without a config", "shared by models"])
def test_what_keras_cannot_copy_is_refused_with_the_way_out(name):
    model = IN_PLACE_ONLY[name].make()
    weights, outputs = weights_of(model), arrays(model(images()))
    with pytest.raises(ConversionError, match=r"(?s)can't be copied.*inplace=True"):
        convert_bn_to_gn(model)
    assert identical(weights_of(model), weights)
    assert np.array_equal(arrays(model(images()))[0], outputs[0])


def test_an_error_of_the_users_own_function_comes_through():
    def groups(layer, channels):
        raise KeyError(layer.name)

    with pytest.raises(KeyError, match="norm"):
        convert_bn_to_gn(KINDS["nested"].make(), groups)


def test_a_failure_at_the_last_layer_takes_back_all():
    """In place, the layers before it had become group normalizations already."""
    model = KINDS["nested"].make()
    norms = [layer for layer in all_layers(model) if isinstance(layer, BatchNormalization)]
    norms[-1].gamma.assign(np.full(32, np.inf))
    weights = weights_of(model)
    with pytest.raises(ConversionError, match="finite"):
        convert_bn_to_gn(model, inplace=True)
    assert {type(norm) for norm in norms} == {BatchNormalization}
    assert identical(weights_of(model), weights)


def kept(model, **arguments):
    """The paths and reasons of what a conversion in place keeps; it must be what is left."""
    report = conversion_report(convert_bn_to_gn(model, **arguments, inplace=True))
    assert len(reachable(model, BatchNormalization)) == len(report.kept)
    assert len(reachable(model, GroupNormalization)) == len(report.converted)
    return {row.path: row.reason for row in report.kept}


def test_a_norm_with_its_own_call_is_kept():
    model = Sequential([Input(IMAGE), conv(), OwnNormalization(name="own"), BatchNormalization()], name="model")
    rows = kept(model)
    assert list(rows) == ["own"]
    assert "OwnNormalization" in rows["own"]


def test_a_norm_that_was_never_called_is_kept():
    model = Lazy(8)
    model.build((None, *IMAGE))
    rows = kept(model)
    assert list(rows) == ["spare[0]"]
    assert "never built" in rows["spare[0]"]


def test_norms_that_the_filter_leaves_out_are_kept():
    rows = kept(KINDS["functional"].make(), layer_filter=lambda layer: layer.name == "norm2")
    assert list(rows) == ["norm1"]
    assert "`layer_filter`" in rows["norm1"]


def test_a_single_channel_at_a_single_position_is_kept():
    model = Sequential([Input((4,)), Dense(8), BatchNormalization(), Dense(1), BatchNormalization(name="last")])
    assert list(kept(model)) == ["last"]


def test_one_group_a_channel_is_fine_where_the_size_is_unknown():
    model = unknown_sizes()
    converted = convert_bn_to_gn(model, -1)
    assert [row.groups for row in conversion_report(converted)] == [32]


def test_nothing_converted_in_place_keeps_the_optimizer():
    model = KINDS["trained"].make()
    optimizer = model.optimizer
    convert_bn_to_gn(model, layer_filter=lambda layer: False, inplace=True)
    assert model.optimizer is optimizer


def test_an_optimizer_that_cannot_be_made_anew_is_said():
    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

    model = Sequential([Input(IMAGE), conv(), BatchNormalization()])
    model.compile(keras.optimizers.SGD(Schedule()), "mse")
    converted = convert_bn_to_gn(model, inplace=True)
    assert reachable(converted, BatchNormalization) == []
    assert "call compile again" in conversion_report(converted).notes[0]
    assert not converted.compiled


def test_nested_models_forget_what_they_have_traced():
    inner = Sequential([Input(IMAGE), conv(), BatchNormalization()])
    inner.predict(images(), verbose=0)
    convert_bn_to_gn(Sequential([Input(IMAGE), inner]), inplace=True)
    assert np.allclose(inner.predict(images(), verbose=0), inner(images()), atol=1e-5)


def test_calibration_leaves_other_state_alone():
    sequence = Input(batch_shape=(8, 4, 16))
    x = BatchNormalization()(sequence)
    model = keras.Model(sequence, keras.layers.LSTM(3, stateful=True)(x))
    x = np.random.default_rng(0).normal(size=(8, 4, 16)).astype("float32")
    converted = convert_bn_to_gn(model, calibration_data=x, inplace=True)
    states = converted.layers[-1].states
    assert len(states) == 2
    assert all(np.all(np.asarray(state) == 0) for state in states)


def test_activations_that_overflow_are_named():
    model = Sequential([Input(IMAGE), conv(), BatchNormalization(name="norm")])
    with pytest.raises(ConversionError, match=r"layer 'norm' overflow"):
        convert_bn_to_gn(model, calibration_data=images() * np.float32(1e25))


def test_the_users_own_functions_and_regularizers_are_copied():
    def doubled(x):
        return 2 * x

    class Weak(keras.regularizers.Regularizer):
        def __call__(self, x):
            return 1e-6 * keras.ops.sum(x)

        def get_config(self):
            return {}

    layers = [keras.layers.Conv2D(32, 3, activation=doubled), BatchNormalization(gamma_regularizer=Weak())]
    converted = convert_bn_to_gn(Sequential([Input(IMAGE), *layers]))
    assert isinstance(converted.layers[-1].gamma_regularizer, Weak)


def test_a_norm_whose_call_was_replaced_is_kept():
    norm = BatchNormalization(name="norm")
    model = Sequential([Input(IMAGE), conv(), norm])
    norm.call = lambda x, training=None, mask=None: x
    assert list(kept(model)) == ["norm"]
