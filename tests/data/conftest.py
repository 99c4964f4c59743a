"""Small made images and videos, trees of them, and data sets in COCO's form."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
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


def coco_annotation(number: int, image: int, box: Sequence[float], **fields: Any) -> dict[str, Any]:
    """An object of category 3 whose outline is its box; `fields` replace what it has, None takes a field away."""
    x, y, width, height = box
    polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
    annotation = {"id": number, "image_id": image, "category_id": 3, "bbox": list(box), "iscrowd": 0}
    annotation |= {"area": width * height, "segmentation": [polygon]} | fields
    return {key: value for key, value in annotation.items() if value is not None}


@pytest.fixture
def annotate() -> Callable[..., dict[str, Any]]:
    """The function `coco_annotation`."""
    return coco_annotation


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set of 16 x 12 images in COCO's form: `write_coco(annotations)` gives its folder.

    Images 1 to `count` lie in `folder`; categories are 7 dog and 3 cat; `changes` replace lists of the JSON.
    """

    def write(
        annotations: Sequence[dict[str, Any]] = (),
        *,
        count: int = 3,
        file: str = "annotations.json",
        folder: str = "images",
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> Path:
        root = tmp_path / "coco"
        for path in (root / folder, (root / file).parent):
            path.mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            noise_image(number).save(root / folder / f"{number}.jpg")
        content = {
            "images": [
                {"id": number, "file_name": f"{number}.jpg", "width": 16, "height": 12}
                for number in range(1, count + 1)
            ],
            "annotations": list(annotations),
            "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        }
        (root / file).write_text(json.dumps(content | dict(changes)), encoding="utf-8")
        return root

    return write


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


def numbered_picture(number: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """A picture uint8 [height, width, 3] of which `read_number` tells the number, below 256, after any compression."""
    bits = np.array([number >> bit & 1 for bit in range(8)], np.uint8).reshape(2, 4)
    gray = np.kron(40 + 175 * bits, np.ones((height // 2, width // 4), np.uint8))
    return np.repeat(gray[..., np.newaxis], 3, axis=-1)


def read_number(picture: np.ndarray) -> int:
    """The number of an upright picture that `numbered_picture` made, of any size."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 4
    blocks = picture[: 2 * height, : 4 * width].astype(float).mean(-1).reshape(2, height, 4, width).mean((1, 3))
    return sum(1 << bit for bit, value in enumerate(blocks.ravel()) if value > 128)


def make_video(
    path: Path,
    *,
    frames: int = 40,
    codec: str = "libx264",
    stamps: Sequence[int] | None = None,
    size: tuple[int, int] = (48, 64),
    options: Mapping[str, str] = MappingProxyType({"bf": "3", "g": "12", "keyint_min": "12"}),
    rotation: Mapping[str, Any] | None = None,
) -> Path:
    """A video of numbered pictures, 25 a second or with `stamps` in milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={**options, "threads": "1"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        time_base = Fraction(1, 25) if stamps is None else Fraction(1, 1000)
        stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(**rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, height=size[0], width=size[1]))
            frame.pts, frame.time_base = number if stamps is None else stamps[number], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def video_maker() -> Callable[..., Path]:
    """The function `make_video`."""
    return make_video


@pytest.fixture
def write_video(tmp_path: Path) -> Callable[..., Path]:
    """`write_video("a.mp4", frames=20)` writes a video of numbered pictures, see `make_video`, and gives its path."""
    return lambda name, **settings: make_video(tmp_path / name, **settings)


@pytest.fixture
def numbers_of() -> Callable[[np.ndarray], list[int]]:
    """The numbers of pictures [n, H, W, 3] that `write_video` wrote."""
    return lambda pictures: [read_number(np.asarray(picture)) for picture in pictures]
