"""CIFAR-10 from batches, the archive and class folders; pickles that could run code are refused."""

import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import load
from zoo.data.readers.cifar10_batches import CLASS_NAMES
from zoo.errors import UserError


@pytest.fixture
def batches(shared_data) -> Path:
    return shared_data / "cifar10" / "cifar-10-batches-py"


@pytest.mark.parametrize("inside", [True, False])
def test_batches(batches, inside):
    dataset = load("cifar10", data_dir=batches if inside else batches.parent)
    assert {split: len(records) for split, records in dataset.splits.items()} == {
        "train": 3601,
        "validation": 399,
        "test": 1000,
    }
    assert dataset.class_names == CLASS_NAMES


def test_pixels_and_labels_are_those_of_the_batch(batches):
    with (batches / "test_batch").open("rb") as file:
        raw = pickle.load(file, encoding="bytes")  # The shared file is known.
    test = load("cifar10", data_dir=batches).splits["test"]
    np.testing.assert_array_equal(test.labels, raw[b"labels"])
    for row, column, channel in [(0, 0, 0), (5, 31, 2), (31, 0, 1)]:
        np.testing.assert_array_equal(
            test.images[:, row, column, channel], raw[b"data"][:, channel * 1024 + row * 32 + column]
        )


def test_archive(batches, tmp_path):
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(batches / "test_batch", "cifar-10-batches-py/test_batch")
    dataset = load("cifar10", data_dir=tmp_path)
    assert list(dataset.splits) == ["test"]
    expected = load("cifar10", data_dir=batches).splits["test"]
    np.testing.assert_array_equal(dataset.splits["test"].images, expected.images)
    content = (tmp_path / "cifar-10-python.tar.gz").read_bytes()
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"Can't read .*cifar-10-python.tar.gz: .*Download it again"):
        load("cifar10", data_dir=tmp_path)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickle_that_runs_code_is_refused(tmp_path):
    target = tmp_path / "exploded"
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Bomb(target)}, protocol=2))
    with pytest.raises(UserError, match=r"Refused to read .*data_batch_1: it is a pickle that wants to use \w+\.mkdir"):
        load("cifar10", data_dir=tmp_path)
    assert not target.exists()
    pickle.loads((tmp_path / "data_batch_1").read_bytes())
    assert target.exists(), "the bomb of this test works"


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_batches_rewritten_by_python_3_are_read(tmp_path, protocol):
    data = np.random.default_rng(0).integers(0, 256, [20, 3072], dtype="uint8")
    batch = {b"data": data, b"labels": [i % 10 for i in range(20)]}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    test = load("cifar10", data_dir=tmp_path).splits["test"]
    np.testing.assert_array_equal(test.images.transpose(0, 3, 1, 2).reshape(20, -1), data)


@pytest.mark.parametrize(
    "batch",
    [
        {b"labels": [1, 2]},
        {b"data": np.zeros([2, 3072], "uint8"), b"labels": [1, 2, 3]},
        {b"data": np.zeros([2, 3072], "uint8"), b"labels": [1, 10]},
        {b"data": np.zeros([2, 3072]), b"labels": [1, 2]},
        [1, 2],
        None,
    ],
)
def test_damaged_batch_is_named(tmp_path, batch):
    content = pickle.dumps(batch, protocol=2) if batch else b"\x80\x02}q\x01"
    (tmp_path / "data_batch_2").write_bytes(content)
    with pytest.raises(UserError, match=r"data_batch_2 is not a whole CIFAR-10 batch: .*Download"):
        load("cifar10", data_dir=tmp_path)


@pytest.fixture
def folders(shared_data, tmp_path) -> Path:
    """A few dozen images a class of the shared tree, unpacked."""
    with tarfile.open(shared_data / "cifar10" / "CIFAR-10-images.tar.gz") as archive:
        for member in archive:
            if member.isfile() and int(Path(member.name).stem) < 24:
                target = tmp_path / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
    return tmp_path


def test_class_folders(folders):
    dataset = load("cifar10", data_dir=folders, validation_fraction=0.25)
    assert dataset.class_names == CLASS_NAMES
    assert {split: len(records) for split, records in dataset.splits.items()} == {
        "train": 180,
        "validation": 60,
        "test": 240,
    }
    with Image.open(folders / "test" / "bird" / "0003.jpg") as image:
        # libjpeg's faster inverse transform, TensorFlow's choice, may be off by a few.
        difference = dataset.splits["test"].images[2 * 24 + 3].astype(int) - np.asarray(image)
    assert np.abs(difference).max() <= 8
    assert dataset.splits["test"].labels[2 * 24 + 3] == 2
    check_corrupt_folders(folders)
    check_wrong_size(folders)


def check_corrupt_folders(folders: Path) -> None:
    """Also past the first chunk of images, and more than one."""
    bad = folders / "train" / "truck" / "0011.jpg", folders / "train" / "cat" / "0000.jpg"
    originals = [path.read_bytes() for path in bad]
    bad[0].write_bytes(originals[0][:400])
    bad[1].write_bytes(b"")
    with pytest.raises(UserError, match=r"Can't read the image .*train/cat/0000.jpg: the file is empty"):
        load("cifar10", data_dir=folders)
    train = load("cifar10", data_dir=folders, on_corrupt="skip", validation_fraction=0).splits["train"]
    assert len(train) == 238
    assert list(np.bincount(train.labels)) == [24, 24, 24, 23, 24, 24, 24, 24, 24, 23]
    for path, content in zip(bad, originals, strict=True):
        path.write_bytes(content)
    whole = load("cifar10", data_dir=folders, validation_fraction=0).splits["train"]
    without = np.delete(np.arange(240), [3 * 24, 9 * 24 + 11])
    np.testing.assert_array_equal(train.images, whole.images[without])


def check_wrong_size(folders: Path) -> None:
    Image.new("RGB", (40, 32)).save(folders / "train" / "dog" / "0001.jpg")
    with pytest.raises(UserError, match=r"Every image of cifar10 must be 32 x 32. Received: .*dog/0001.jpg, 32 x 40"):
        load("cifar10", data_dir=folders)


def test_folder_without_any_form_tells_the_forms(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"`data_dir` must hold CIFAR-10 in one of its forms.*cifar-10-python.tar.gz"):
        load("cifar10", data_dir=tmp_path)


def test_as_many_batches_as_there_are(batches, tmp_path):
    shutil.copy(batches / "data_batch_1", tmp_path / "data_batch_4")
    dataset = load("cifar10", data_dir=tmp_path, validation_fraction=0)
    assert {split: len(records) for split, records in dataset.splits.items()} == {"train": 4000}
