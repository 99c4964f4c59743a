"""Every kind of model converts, and everything but its BatchNormalization stays as it is."""

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization

from convert.conftest import all_layers, arrays, identical, weights_of
from convert.models import IN_PLACE_ONLY, KINDS, images
from convert.reachable import reachable
from keras_gn.convert import conversion_report, convert_bn_to_gn
from keras_gn.convert.maker import class_of
from keras_gn.layers import GroupNormalization

_SETTINGS = ("regularizer", "constraint")


def train_step(model, inputs):
    """One step of gradient descent towards zero; the loss."""
    targets = keras.tree.map_structure(keras.ops.zeros_like, model(inputs, training=False))
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    return model.train_on_batch(inputs, targets, return_dict=True)["loss"]


def relative_difference(ours, theirs):
    """The root mean square of the difference by the deviation of what is wanted."""
    ours, theirs = (np.concatenate([np.ravel(array) for array in one]).astype("float64") for one in (ours, theirs))
    return np.sqrt(np.mean((ours - theirs) ** 2)) / theirs.std()


def closed_form(norm, groups):
    """The gamma and beta of the group normalization, channel by channel, in float64."""
    mean, variance = (np.asarray(weight, "float64") for weight in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, "float64") if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta, "float64") if norm.center else np.zeros_like(mean)
    size = len(mean) // groups
    new_gamma, new_beta = np.zeros_like(mean), np.zeros_like(mean)
    for channel in range(len(mean)):
        first = channel // size * size
        group = range(first, first + size)
        group_mean = sum(mean[c] for c in group) / size
        group_variance = sum(variance[c] + mean[c] ** 2 for c in group) / size - group_mean**2
        sigma = np.sqrt(variance[channel] + norm.epsilon)
        new_gamma[channel] = gamma[channel] * np.sqrt(group_variance + norm.epsilon) / sigma
        new_beta[channel] = beta[channel] + gamma[channel] * (group_mean - mean[channel]) / sigma
    return new_gamma, new_beta


def test_no_batch_norm_is_left(case):
    assert len(reachable(case.model, BatchNormalization)) == case.kind.batch_norms
    assert reachable(case.converted, BatchNormalization) == []
    report = conversion_report(case.converted)
    assert len(report.converted) == len(report) == case.kind.batch_norms
    assert not report.kept


def test_names_and_classes_stay(case):
    for old, new in case.pairs:
        assert new is not old
        assert new.name == old.name
        assert class_of(new) is (GroupNormalization if isinstance(old, BatchNormalization) else type(old))


def test_all_other_weights_are_identical(case):
    def others(model, norm):
        of_norms = {id(variable) for layer in reachable(model, norm) for variable in layer.variables}
        kept = [variable for variable in model.variables if id(variable) not in of_norms]
        return [(variable.name, variable.trainable, np.asarray(variable)) for variable in kept]

    old, new = others(case.model, BatchNormalization), others(case.converted, GroupNormalization)
    assert [(name, trainable) for name, trainable, _ in new] == [(name, trainable) for name, trainable, _ in old]
    assert identical([(name, array) for name, _, array in new], [(name, array) for name, _, array in old])


def test_what_is_shared_stays_shared(case):
    old, new = ([id(layer) for layer in layers] for layers in zip(*case.pairs, strict=True))
    assert [old.index(one) for one in old] == [new.index(one) for one in new]
    dropped = sum(len(old.variables) - len(new.variables) for old, new in case.norms)
    assert len(case.converted.variables) == len(case.model.variables) - dropped
    assert len({id(variable) for variable in case.converted.variables}) == len(case.converted.variables)
    assert not {id(variable) for variable in case.converted.variables} & {id(v) for v in case.model.variables}


def test_the_model_itself_is_untouched(case):
    outputs = arrays(case.model(case.inputs, training=False))
    assert all(np.array_equal(one, other) for one, other in zip(outputs, case.outputs, strict=True))
    assert identical(weights_of(case.model), case.weights)
    assert [(layer.name, type(layer), layer.trainable) for layer in all_layers(case.model)] == case.layers


def test_trainable_flags_stay(case):
    assert [new.trainable for _, new in case.pairs] == [old.trainable for old, _ in case.pairs]
    assert case.converted.trainable == case.model.trainable
    for old, new in case.norms:
        frozen = not old.trainable
        assert [weight.name for weight in new.trainable_weights] == ([] if frozen else ["gamma", "beta"])


def test_settings_stay(case):
    for old, new in case.norms:
        ours, theirs = new.get_config(), old.get_config()
        same = ("axis", "epsilon", "dtype", *(f"{name}_{kind}" for name in ("gamma", "beta") for kind in _SETTINGS))
        assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
        assert (new.compute_dtype, new.variable_dtype) == (old.compute_dtype, old.variable_dtype)
    assert [type(layer.dtype_policy) for layer in all_layers(case.converted)] == [
        type(layer.dtype_policy) for layer in all_layers(case.model)
    ]


def test_weights_have_the_closed_form(case):
    groups = {row.path: row.groups for row in conversion_report(case.converted)}
    assert sorted(groups.values()) == sorted(new.groups for _, new in case.norms)
    for old, new in case.norms:
        gamma, beta = closed_form(old, new.groups)
        np.testing.assert_allclose(new.gamma, gamma, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(new.beta, beta, rtol=1e-5, atol=1e-6)


def test_outputs_are_alike(case):
    outputs = case.converted(case.inputs, training=False)
    keras.tree.assert_same_structure(outputs, case.model(case.inputs, training=False))
    values = arrays(outputs)
    for ours, theirs in zip(values, case.outputs, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert np.isfinite(ours.astype("float64")).all()
    if case.kind.alike:
        assert relative_difference(values, case.outputs) < 0.4


def test_converting_again_changes_nothing(case):
    again = convert_bn_to_gn(case.converted)
    assert identical(weights_of(again), weights_of(case.converted))
    assert [type(layer) for layer in all_layers(again)] == [type(layer) for layer in all_layers(case.converted)]


@pytest.mark.filterwarnings(
    "ignore:Skipping nested container"
)  # Keras lists a graph's layers twice; one list is enough
def test_it_comes_back_from_a_file_and_trains(case, tmp_path):
    case.converted.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=False)
    assert reachable(reloaded, BatchNormalization) == []
    expected = arrays(case.converted(case.inputs, training=False))
    outputs = arrays(reloaded(case.inputs, training=False))
    assert all(np.array_equal(one, other) for one, other in zip(outputs, expected, strict=True))
    if not reloaded.trainable_variables:
        return
    before = weights_of(reloaded)
    assert np.isfinite(train_step(reloaded, case.inputs))
    assert not identical(weights_of(reloaded), before)


@pytest.mark.parametrize("name", KINDS | IN_PLACE_ONLY)
def test_in_place(name):
    kind = (KINDS | IN_PLACE_ONLY)[name]
    model, inputs = kind.make(), kind.inputs()
    layers, norms = all_layers(model), reachable(model, BatchNormalization)
    outputs = arrays(model(inputs, training=False))
    assert convert_bn_to_gn(model, inplace=True) is model
    assert [id(layer) for layer in all_layers(model)] == [id(layer) for layer in layers]
    assert len(norms) == kind.batch_norms
    assert {type(norm) for norm in norms} == {GroupNormalization}
    assert reachable(model, BatchNormalization) == []
    if kind.alike:
        assert relative_difference(arrays(model(inputs, training=False)), outputs) < 0.4
    if model.trainable_variables:
        assert np.isfinite(train_step(model, inputs))


@pytest.mark.parametrize("name", KINDS)
def test_in_place_and_on_a_copy_are_the_same(name):
    kind = KINDS[name]
    model, inputs = kind.make(), kind.inputs()
    expected = arrays(convert_bn_to_gn(model)(inputs, training=False))
    outputs = arrays(convert_bn_to_gn(model, inplace=True)(inputs, training=False))
    assert all(np.array_equal(one, other) for one, other in zip(outputs, expected, strict=True))


def test_a_model_that_has_predicted_predicts_anew():
    """Traced functions hold the former layers."""
    model, inputs = KINDS["trained"].make(), images()
    before = model.predict(inputs, verbose=0)
    model.evaluate(inputs, np.ones((8, 5)), verbose=0)
    convert_bn_to_gn(model, inplace=True)
    after = model.predict(inputs, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, arrays(model(inputs, training=False))[0], rtol=1e-4, atol=1e-4)
    assert np.isfinite(model.fit(inputs, np.ones((8, 5)), verbose=0).history["loss"]).all()


def test_a_copy_is_compiled_as_the_model_was():
    model = KINDS["trained"].make()
    converted = convert_bn_to_gn(model)
    assert converted.optimizer.get_config() == model.optimizer.get_config()
    assert (converted.loss, converted.jit_compile) == (model.loss, model.jit_compile)
    assert len(conversion_report(converted).notes) == 1
    assert np.isfinite(converted.fit(images(), np.ones((8, 5)), verbose=0).history["mae"]).all()


def test_statistics_keep_more_than_a_copy_of_gamma_and_beta():
    model, inputs = KINDS["functional"].make(), images()
    outputs = arrays(model(inputs))
    differences = {
        weights: relative_difference(arrays(convert_bn_to_gn(model, weights=weights)(inputs)), outputs)
        for weights in ("statistics", "copy", "reset")
    }
    assert differences["statistics"] < 0.4
    assert min(differences["copy"], differences["reset"]) > 0.6


@pytest.mark.parametrize("arguments", [{"groups": 8}, {"channels_per_group": 8}, {"groups": lambda layer, size: 4}])
def test_weights_have_the_closed_form_for_every_rule_of_groups(arguments):
    model = KINDS["nested"].make()
    converted = convert_bn_to_gn(model, **arguments)
    norms = [
        (old, new)
        for old, new in zip(all_layers(model), all_layers(converted), strict=True)
        if isinstance(old, BatchNormalization)
    ]
    assert {new.groups for _, new in norms} == {8 if "groups" in arguments and arguments["groups"] == 8 else 4}
    for old, new in norms:
        gamma, beta = closed_form(old, new.groups)
        np.testing.assert_allclose(new.gamma, gamma, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(new.beta, beta, rtol=1e-5, atol=1e-6)
