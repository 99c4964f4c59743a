"""Fashion-MNIST from idx files, whole and damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from zoo.data import load
from zoo.data.readers.fashion_mnist import read_idx
from zoo.errors import UserError

NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def test_official_files(shared_data):
    dataset = load("fashion_mnist", data_dir=shared_data / "fashion_mnist")
    assert {split: records.images.shape for split, records in dataset.splits.items()} == {
        "train": (54000, 28, 28, 1),
        "validation": (6000, 28, 28, 1),
        "test": (10000, 28, 28, 1),
    }
    assert all(np.ptp(np.bincount(records.labels)) == 0 for records in dataset.splits.values())
    # The first test image is known to be an ankle boot.
    assert dataset.class_names[dataset.splits["test"].labels[0]] == "Ankle boot"


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def files(tmp_path) -> Path:
    for images, labels in (NAMES[:2], NAMES[2:]):
        write_idx(tmp_path / images, np.arange(20 * 28 * 28, dtype="uint8").reshape(20, 28, 28))
        write_idx(tmp_path / labels, np.repeat(np.arange(10, dtype="uint8"), 2))
    return tmp_path


def test_made_files(files):
    dataset = load("fashion_mnist", data_dir=files)
    np.testing.assert_array_equal(dataset.splits["test"].images[..., 0], read_idx(files / NAMES[2], rank=3))
    assert list(dataset.splits["test"].labels) == list(np.repeat(np.arange(10), 2))


def test_missing_files_are_named(files):
    (files / NAMES[1]).unlink()
    with pytest.raises(UserError, match=rf"must hold the four files.*without {NAMES[1]}\. Download"):
        load("fashion_mnist", data_dir=files)


def test_truncated_gzip(files):
    content = (files / NAMES[0]).read_bytes()
    (files / NAMES[0]).write_bytes(content[:-100])
    with pytest.raises(UserError, match=rf"{NAMES[0]} is not a whole idx file.*it can't be decompressed"):
        load("fashion_mnist", data_dir=files)


@pytest.mark.parametrize("content", [b"", b"\0\0\10", b"\0\0\10\1\0\0\0\5abcde"])
def test_wrong_magic(files, content):
    (files / NAMES[0]).write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=r"it starts with .* and not with 00000803"):
        load("fashion_mnist", data_dir=files)


@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_length(files, change):
    content = gzip.decompress((files / NAMES[1]).read_bytes())
    content = content[:change] if change < 0 else content + b"x"
    (files / NAMES[1]).write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=rf"it says 20 values and holds {20 + change}"):
        load("fashion_mnist", data_dir=files)


def test_labels_over_nine(files):
    write_idx(files / NAMES[3], np.repeat(np.arange(1, 11, dtype="uint8"), 2))
    with pytest.raises(UserError, match=rf"{NAMES[3]} is not a whole idx .*has the label 10, and there are 10 classes"):
        load("fashion_mnist", data_dir=files)


def test_images_and_labels_of_different_count(files):
    write_idx(files / NAMES[3], np.zeros(7, "uint8"))
    with pytest.raises(UserError, match=r"has 20 images and .* 7 labels: they don't belong together"):
        load("fashion_mnist", data_dir=files)
