"""Reads Fashion-MNIST from its four gzipped idx files."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from zoo.data.catalog import DatasetSpec
from zoo.data.records import OnCorrupt, Records
from zoo.errors import UserError

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_SOURCE = "https://github.com/zalandoresearch/fashion-mnist"


def read(data_dir: Path, spec: DatasetSpec, *, on_corrupt: OnCorrupt) -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names and the train and test records of the four files in `data_dir`."""
    missing = [name for pair in _FILES.values() for name in pair if not (data_dir / name).is_file()]
    if missing:
        raise UserError(
            f"`data_dir` must hold the four files of Fashion-MNIST. Received: data_dir={str(data_dir)!r}, without "
            f"{', '.join(missing)}. {spec.how_to_get}"
        )
    splits = {}
    for split, (images_name, labels_name) in _FILES.items():
        images = read_idx(data_dir / images_name, rank=3)[..., np.newaxis]
        labels = read_idx(data_dir / labels_name, rank=1)
        if len(images) != len(labels):
            raise UserError(
                f"{images_name} has {len(images)} images and {labels_name} {len(labels)} labels: they don't belong "
                f"together. Download both again from {_SOURCE}."
            )
        if (labels >= len(CLASS_NAMES)).any():
            raise _damaged(
                data_dir / labels_name, f"it has the label {labels.max()}, and there are {len(CLASS_NAMES)} classes"
            )
        splits[split] = Records(labels, images)
    return CLASS_NAMES, splits


def read_idx(path: Path, *, rank: int) -> np.ndarray:
    """The uint8 array of `rank` axes in the gzipped idx file at `path`.

    The form: two zero bytes, 8 for uint8, the rank; a big-endian uint32 for each size; the values.
    Source: http://yann.lecun.com/exdb/mnist, "The IDX file format".
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"it can't be decompressed ({error})") from error
    header = 4 + 4 * rank
    if len(content) < header or content[:4] != bytes([0, 0, 8, rank]):
        raise _damaged(path, f"it starts with {content[:4].hex()} and not with 000008{rank:02x}")
    shape = struct.unpack(f">{rank}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise _damaged(path, f"it says {math.prod(shape)} values and holds {len(content) - header}")
    return np.frombuffer(content, "uint8", offset=header).reshape(shape)


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is not a whole idx file of Fashion-MNIST: {reason}. Download it again from {_SOURCE}.")
