"""Gradient checkpointing: the same outputs, gradients and statistics, a plain file, and less memory."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo.models.norms import parse_norm
from zoo.models.remat import RematModel, functional_model
from zoo.models.resnet import BlockConv, residual_block
from zoo.models.resnet3d import resnet3d_logits

CLIPS = np.random.default_rng(0).normal(size=(2, 4, 8, 8, 3)).astype("float32")
LABELS = np.array([0, 2])
BLOCK = (BlockConv((3, 1, 1)), BlockConv((1, 3, 3), strided=True))


def features_of(clip: keras.KerasTensor, norm: str) -> dict[str, keras.KerasTensor]:
    """Of a small network of three blocks."""
    x, found = clip, {}
    for stage in (2, 3, 4):
        x = residual_block(
            x, convs=BLOCK, width=8, strides=1, norm=parse_norm(norm), zero_gamma=False, name=f"stage{stage}_block1"
        )
        found[f"c{stage}"] = x
    return found


def build(norm: str, *, remat: bool, dropout: float = 0.5) -> keras.Model:
    keras.utils.set_random_seed(0)
    clip = keras.Input((None, None, None, 3), name="clip")
    logits = resnet3d_logits({"c5": features_of(clip, norm)["c4"]}, 3, dropout=dropout)
    return functional_model(clip, logits, name="tiny", remat=remat)


def trained(model: keras.Model, **settings: object) -> tuple[list[float], list[np.ndarray]]:
    """The losses of two steps, and all variables after them."""
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True), **settings)
    losses = [float(model.train_on_batch(CLIPS, LABELS)) for _ in range(2)]
    return losses, [np.array(variable) for variable in model.variables]


@pytest.mark.parametrize("norm", ["gn:groups=4", "bn", "frozen_bn", "brn"])
def test_training_is_the_same(norm: str) -> None:
    plain, saving = (build(norm, remat=remat) for remat in (False, True))
    assert isinstance(saving, RematModel)
    assert [variable.path for variable in plain.weights] == [variable.path for variable in saving.weights]
    assert [layer.name for layer in plain.layers] == [layer.name for layer in saving.layers]
    (losses, variables), (others, other_variables) = trained(plain), trained(saving)
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    for variable, old, new in zip(plain.variables, variables, other_variables, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5, err_msg=variable.path)


def test_inference_is_the_same() -> None:
    plain, saving = (build("bn", remat=remat) for remat in (False, True))
    np.testing.assert_array_equal(plain(CLIPS), saving(CLIPS))
    np.testing.assert_array_equal(plain(CLIPS[:1, :1]), saving(CLIPS[:1, :1]))


def test_features_are_the_same() -> None:
    clip = keras.Input((4, 8, 8, 3), name="clip")
    features = features_of(clip, "gn:groups=4")
    plain, saving = (functional_model(clip, features, name="tiny", remat=remat) for remat in (False, True))
    ours, theirs = saving(CLIPS, training=True), plain(CLIPS, training=True)
    assert list(ours) == ["c2", "c3", "c4"]
    for name, feature in ours.items():
        np.testing.assert_allclose(feature, theirs[name], rtol=1e-5, atol=1e-5)


def test_mixed_precision_keeps_the_statistics_in_float32() -> None:
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        (_, variables), (_, others) = (trained(build("bn", remat=remat)) for remat in (False, True))
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    for old, new in zip(variables, others, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-4)


def test_several_replicas(two_replicas) -> None:
    results = []
    for remat in (False, True):
        with two_replicas.scope():
            results.append(trained(build("sync_bn", remat=remat, dropout=0.0)))
    (losses, variables), (others, other_variables) = results
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    for old, new in zip(variables, other_variables, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)


def test_the_file_is_that_of_the_plain_model(tmp_path: Path) -> None:
    model = build("gn:groups=4", remat=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(build("gn:groups=4", remat=False))
    np.testing.assert_array_equal(again(CLIPS), model(CLIPS))


def test_the_option_of_the_zoo() -> None:
    assert isinstance(zoo.build("resnet3d18", num_classes=2, remat=True), RematModel)
    assert not isinstance(zoo.build("resnet3d18", num_classes=2), RematModel)


JAX = """
import numpy as np
from test_remat import build, trained
for norm in ("gn:groups=4", "bn"):
    (losses, variables), (others, other_variables) = (trained(build(norm, remat=remat)) for remat in (False, True))
    np.testing.assert_allclose(losses, others, rtol=1e-4)
    for old, new in zip(variables, other_variables, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-4)
"""


def test_jax_trains_the_same() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax, which is not installed")
    tests = Path(__file__).resolve().parent
    path = os.pathsep.join([str(tests), str(tests.parents[1])])
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    result = subprocess.run([sys.executable, "-c", JAX], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
