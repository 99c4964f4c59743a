"""Weights files: there and back, and refusal of another architecture before anything changes."""

from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import UserError

SMALL = {"num_classes": 4, "input_shape": (16, 16, 3)}
IMAGES = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype("float32")


def randomized(model: keras.Model) -> keras.Model:
    """`model` with all variables drawn anew, positive where they are variances."""
    random = np.random.default_rng(1)
    model.set_weights([0.1 + np.abs(random.normal(size=v.shape)) * 0.1 for v in model.variables])
    return model


def save(model: keras.Model, path: Path) -> Path:
    model.save(path) if path.suffix == ".keras" else model.save_weights(path)
    return path


@pytest.mark.parametrize("file_name", ["model.weights.h5", "model.keras"])
@pytest.mark.parametrize(
    ("name", "norm"), [("resnet18", "gn"), ("resnet18", "bn"), ("resnetv2_50x1", "gn+ws"), ("simplenet", "brn")]
)
def test_round_trip(name: str, norm: str, file_name: str, tmp_path: Path) -> None:
    model = randomized(zoo.build(name, norm, **SMALL))
    path = save(model, tmp_path / file_name)
    again = zoo.build(name, norm, weights=path, **SMALL)
    for old, new in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=old.path)
    np.testing.assert_array_equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize("norm", ["gn", "bn", "frozen_bn", "in"])
def test_keras_loads_the_whole_model(norm: str, tmp_path: Path) -> None:
    model = randomized(zoo.build("resnet18", norm, **SMALL))
    again = keras.saving.load_model(save(model, tmp_path / "model.keras"))
    np.testing.assert_array_equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize("norm", ["frozen_bn", "sync_bn"])
def test_batch_norm_weights_serve_its_relatives(norm: str, tmp_path: Path) -> None:
    model = randomized(zoo.build("resnet18", "bn", **SMALL))
    path = save(model, tmp_path / "bn.weights.h5")
    again = zoo.build("resnet18", norm, weights=str(path), **SMALL)
    np.testing.assert_array_equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"name": "resnet34"}, r"'stage2_block3_conv1' is in the file only; .*; and 27 more"),
        ({"norm": "bn"}, r"'stem_norm' is a GroupNormalization in the model, a batchnormalization in the file"),
        ({"norm": "gn+ws"}, r"'stem_conv' is a Conv2D in the model, a standardizedconv2d in the file"),
        (
            {"num_classes": 7},
            r"1 layers: 'logits' has variables of shapes \[\(512, 4\), \(4,\)\] in the model, "
            r"\[\(512, 7\), \(7,\)\] in the file",
        ),
        ({"num_classes": None}, r"'logits' is in the model only"),
        ({"stem": "large"}, r"'stem_conv' has variables of shapes \[\(3, 3, 3, 64\)\]"),
    ],
)
def test_another_architecture_is_refused(other: dict, message: str, tmp_path: Path) -> None:
    path = save(zoo.build(**{"name": "resnet18", "norm": "gn", **SMALL, **other}), tmp_path / "other.keras")
    with pytest.raises(UserError, match=rf"`weights` must be of the same architecture.*{message}"):
        zoo.build("resnet18", "gn", weights=path, **SMALL)


@pytest.mark.parametrize("file_name", ["broken.weights.h5", "broken.keras"])
def test_a_broken_file_is_named(file_name: str, tmp_path: Path) -> None:
    path = tmp_path / file_name
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match=rf"`weights` must be a whole file.*{file_name}"):
        zoo.build("simplenet", weights=path, **SMALL)


def test_a_missing_or_strange_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`weights` must be a file that exists"):
        zoo.build("simplenet", weights=tmp_path / "none.keras", **SMALL)
    with pytest.raises(UserError, match=r"`weights` must end in \.weights\.h5 or \.keras"):
        zoo.build("simplenet", weights="resnet.pth", **SMALL)


def test_a_norm_of_several_layers_is_not_half_loaded(tmp_path: Path) -> None:
    def composite(name: str) -> keras.Layer:
        return keras.Sequential([keras.layers.LayerNormalization(), keras.layers.Rescaling(2.0)], name=name)

    path = save(zoo.build("simplenet", composite, **SMALL), tmp_path / "composite.weights.h5")
    with pytest.raises(UserError, match=r"'stage1_norm1' keeps variables in inner layers"):
        zoo.build("simplenet", composite, weights=path, **SMALL)
