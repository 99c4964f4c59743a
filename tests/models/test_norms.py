"""Norm names: what they parse to, that every one of them trains, and what a typo tells."""

import keras
import numpy as np
import pytest

import zoo
from keras_gn.layers import GroupNormalization, InstanceNormalization, StandardizedConv2D
from zoo.errors import UserError
from zoo.models.norms import NORM_NAMES, Norm, parse_norm, start_gamma_at_zero

SPECS = [*NORM_NAMES, "gn+ws", "bn+ws", "none+ws", "gn:groups=16", "gn:channels_per_group=16", "gn:groups=-1"]


@pytest.mark.parametrize(
    ("spec", "kind", "expected"),
    [
        ("bn", keras.layers.BatchNormalization, {"momentum": 0.9, "epsilon": 1e-5, "synchronized": False}),
        ("bn:momentum=0,epsilon=1e-3", keras.layers.BatchNormalization, {"momentum": 0.0, "epsilon": 1e-3}),
        ("sync_bn", keras.layers.BatchNormalization, {"synchronized": True, "trainable": True}),
        ("frozen_bn", keras.layers.BatchNormalization, {"trainable": False}),
        ("brn", keras.layers.BatchNormalization, {"renorm": True}),
        ("gn", GroupNormalization, {"groups": 32, "channels_per_group": None, "epsilon": 1e-5}),
        ("gn:groups=16", GroupNormalization, {"groups": 16}),
        ("gn+ws:channels_per_group=8", GroupNormalization, {"channels_per_group": 8}),
        ("ln", GroupNormalization, {"groups": 1, "epsilon": 1e-5}),
        ("in:epsilon=1e-3", InstanceNormalization, {"epsilon": 1e-3}),
        ("none", keras.layers.Identity, {}),
    ],
)
def test_names_give_the_layers_they_promise(spec: str, kind: type, expected: dict) -> None:
    layer = parse_norm(spec).factory("norm1")
    assert type(layer) is kind
    assert layer.name == "norm1"
    assert {name: getattr(layer, name) for name in expected} == expected


def test_batch_renorm_clips_as_the_paper_says() -> None:
    layer = parse_norm("brn:rmax=2,dmax=1,momentum=0.5").factory("norm1")
    assert layer.renorm_clipping == {"rmax": 2.0, "rmin": 0.5, "dmax": 1.0}
    assert layer.momentum == layer.renorm_momentum == 0.5


@pytest.mark.parametrize("spec", SPECS)
def test_every_norm_takes_a_training_step(spec: str) -> None:
    model = zoo.build("resnet18", spec, num_classes=3, input_shape=(16, 16, 1))
    before = [np.array(variable) for variable in model.variables]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 1)).astype("float32")
    loss = model.train_on_batch(images, np.array([0, 1, 2, 0]))
    assert np.isfinite(loss)
    assert all(np.isfinite(variable).all() for variable in model.variables)
    after = {variable.path: np.array(variable) for variable in model.variables}
    changed = {path for (path, new), old in zip(after.items(), before, strict=True) if (new != old).any()}
    assert {"logits/kernel", "stem_conv/kernel"} <= changed
    frozen = {variable.path for variable in model.non_trainable_variables}
    assert bool(changed & frozen) == (spec.partition("+")[0] in ("bn", "sync_bn", "brn"))


@pytest.mark.parametrize(("spec", "standardized", "bias"), [("gn", 0, 0), ("bn+ws", 1, 0), ("none+ws", 1, 1)])
def test_convolutions_go_with_the_norm(spec: str, standardized: bool, bias: bool) -> None:
    model = zoo.build("resnet18", spec, num_classes=3, input_shape=(16, 16, 1))
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convs) == 20
    assert {isinstance(layer, StandardizedConv2D) for layer in convs} == {bool(standardized)}
    assert {layer.use_bias for layer in convs} == {bool(bias)}


def test_a_callable_is_a_norm() -> None:
    def rms(name: str) -> keras.Layer:
        return keras.layers.RMSNormalization(name=name)

    assert parse_norm(rms) == Norm("rms", rms)
    assert parse_norm(parse_norm("gn+ws")).standardized
    model = zoo.build("simplenet", rms, num_classes=3, input_shape=(16, 16, 1))
    assert isinstance(model.get_layer("stage1_norm1"), keras.layers.RMSNormalization)


def test_gamma_starts_at_zero_where_it_can_leave_zero() -> None:
    for spec, gamma in (("gn", 0.0), ("bn", 0.0), ("frozen_bn", 1.0)):
        layer = parse_norm(spec).factory("norm1")
        start_gamma_at_zero(layer)
        layer.build((None, 4, 4, 32))
        np.testing.assert_array_equal(layer.gamma, np.full(32, gamma))
    start_gamma_at_zero(parse_norm("none").factory("norm1"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bm", r"`norm` must be one of bn, .*Received: norm='bm'"),
        ("gn+sw", r"Received: norm='gn\+sw'\. Did you mean gn\+ws"),
        ("sync-bn", r"Did you mean sync_bn"),
        ("gn:group=8", r"`gn argument` must be one of .*Did you mean groups\?"),
        ("bn:groups=8", r"`bn argument` must be one of epsilon, momentum"),
        ("gn:", r"`gn argument` must be one of"),
        ("none:groups=8", r"`norm` none takes no arguments"),
        ("gn:groups=8.5", r"`groups` must be an integer above 0, or -1 .*Received: norm='gn:groups=8\.5'"),
        ("gn:groups=0", r"`groups` must be"),
        ("gn:groups=True", r"`groups` must be"),
        ("gn:groups=16+ws", r"as in gn:groups=16 or gn\+ws:groups=16"),
        ("gn:groups=__import__('os')", r"`groups` must be"),
        ("bn:momentum=1", r"`momentum` must be a number of at least 0 and below 1"),
        ("ln:epsilon=-1", r"`epsilon` must be a number of at least 0"),
        (32, r"`norm` must be a name such as 'gn' or 'none', or a callable.*Received: norm=32"),
        (keras.layers.BatchNormalization, r"`lambda name: keras.layers.BatchNormalization\(name=name\)`.*Received"),
    ],
)
def test_typos_are_told(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_norm(spec)


def test_a_callable_must_keep_to_the_name() -> None:
    def nameless(name: str) -> keras.Layer:
        return keras.layers.LayerNormalization()

    with pytest.raises(UserError, match=r"called 'stem_norm'.*norm=nameless returned <LayerNormalization"):
        zoo.build("resnet18", nameless, input_shape=(16, 16, 1))
