"""The pyramid: sizes whatever the image's, the sum of scales, names, norms."""

import keras
import numpy as np
import pytest

from zoo.models.fpn import UpsampleAdd, feature_pyramid
from zoo.models.norms import parse_norm
from zoo.models.resnet import SPECS, resnet_features


def build_pyramid(norm: str = "none", size: tuple[int | None, int | None] = (None, None)) -> keras.Model:
    image = keras.Input((*size, 3))
    chosen = parse_norm(norm)
    features = resnet_features(image, spec=SPECS["resnet18"], norm=chosen, stem="large")
    return keras.Model(image, feature_pyramid(features, norm=chosen, channels=32))


def test_sizes_of_any_image() -> None:
    model = build_pyramid()
    for height, width in [(64, 96), (65, 33), (50, 71)]:
        pyramid = model(np.zeros((1, height, width, 3), "float32"))
        for n in (2, 3, 4, 5, 6):
            assert pyramid[f"p{n}"].shape == (1, -(-height // 2**n), -(-width // 2**n), 32)


@pytest.mark.parametrize("size", [(4, 6), (5, 3), (1, 2)])
def test_upsample_add_is_a_slow_loop(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    fine = rng.normal(size=(2, *size, 3)).astype("float32")
    coarse = rng.normal(size=(2, -(-size[0] // 2), -(-size[1] // 2), 3)).astype("float32")
    expected = [[fine[:, y, x] + coarse[:, y // 2, x // 2] for x in range(size[1])] for y in range(size[0])]
    np.testing.assert_allclose(UpsampleAdd()([fine, coarse]), np.moveaxis(np.array(expected), 2, 0), rtol=1e-6)


def test_what_the_levels_are() -> None:
    """With every weight an identity, p5 is c5, and each finer map is its own plus the doubled coarser one."""
    features = {f"c{n}": keras.Input((2 ** (6 - n), 2 ** (6 - n), 2), name=f"c{n}") for n in (2, 3, 4, 5)}
    model = keras.Model(features, feature_pyramid(features, norm=parse_norm("none"), channels=2))
    for layer in model.layers:
        if layer.name.endswith("conv"):
            kernel = np.zeros(layer.kernel.shape)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = np.eye(2)
            layer.set_weights([kernel, np.zeros(2)])
    rng = np.random.default_rng(0)
    c = {name: rng.normal(size=(1, *x.shape[1:])).astype("float32") for name, x in features.items()}
    p = model(c)
    expected = c["c5"]
    np.testing.assert_allclose(p["p5"], expected, rtol=1e-6)
    np.testing.assert_allclose(p["p6"], expected[:, ::2, ::2], rtol=1e-6)
    for n in (4, 3, 2):
        expected = c[f"c{n}"] + expected.repeat(2, axis=1).repeat(2, axis=2)
        np.testing.assert_allclose(p[f"p{n}"], expected, rtol=1e-5)


def test_every_convolution_has_a_norm_of_a_neutral_name_or_a_bias() -> None:
    parts = [f"fpn_{kind}{n}" for kind in ("lateral", "output") for n in (2, 3, 4, 5)]
    normed, plain = build_pyramid("gn", (64, 64)), build_pyramid("none", (64, 64))
    assert [layer.name for layer in normed.layers[1:]] == [layer.name for layer in plain.layers[1:]]
    for part in parts:
        assert type(normed.get_layer(f"{part}_norm")).__name__ == "GroupNormalization"
        assert normed.get_layer(f"{part}_conv").use_bias is False
        assert plain.get_layer(f"{part}_conv").use_bias is True
