"""Small made images and trees of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import CATALOG, DatasetSpec


def noise_image(seed: int, *, height: int = 12, width: int = 16, mode: str = "RGB") -> Image.Image:
    """A smooth random picture, so that JPEG keeps it."""
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "P": 1, "1": 1}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, [3, 4, channels], dtype="uint8")
    bands = [Image.fromarray(pixels[..., band]).resize((width, height)) for band in range(channels)]
    return Image.merge(mode, bands) if channels > 1 else bands[0].convert(mode)


def write_tree(root: Path, folders: Sequence[str], *, images: int, suffix: str = ".jpg", start: int = 0) -> None:
    """`images` noise images in each of `folders`."""
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(start, start + images):
            noise_image(1000 * number + index).save(root / folder / f"{index:03d}{suffix}")


@pytest.fixture
def make_image() -> Callable[..., Image.Image]:
    """The function `noise_image`."""
    return noise_image


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Makes a tree of images: `tree(["a", "b"], images=5)` gives its path."""

    def make(folders: Sequence[str], *, images: int = 5, suffix: str = ".jpg") -> Path:
        write_tree(tmp_path / "tree", folders, images=images, suffix=suffix)
        return tmp_path / "tree"

    return make


@pytest.fixture
def tiny_spec() -> DatasetSpec:
    """Images of 8 x 8, three channels, no augmentation, pixels passed on as they are."""
    return replace(
        CATALOG["folder"],
        image_size=8,
        mean=(0.0,) * 3,
        std=(1 / 255,) * 3,
        augmentation="none",
        resize_ratio=1.0,
    )
