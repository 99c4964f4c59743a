"""The images that the models of benchmarks/convert_models.py learn and are tested on."""

import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from zoo import data
from zoo.data.records import Records
from zoo.data.split import split_off

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_CIFAR_ARCHIVE = "CIFAR-10-images.tar.gz"
_DIGITS_SIZE, _DIGITS_ENLARGED, _DIGITS_HELD_OUT = 8, 64, 0.3


def load_split(name: str, data_dir: Path | None) -> Split:
    """The images and labels of a data set, (x_train, y_train, x_test, y_test).

    Images are float32 [N, H, W, C] in [0, 1], labels int32 [N]. The 8 x 8 scans of digits become RGB of 64 x 64, and
    30 % of every class, always the same ones, are held out for the test.

    Args:
        name: "cifar10", "fashion_mnist" or "digits".
        data_dir: holds a folder for each data set, called by its name; digits needs none. CIFAR-10 may lie there as an
            archive of class folders, too.

    >>> x_train, y_train, x_test, y_test = load_split("digits", None)
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((1258, 64, 64, 3), (1258,), (539, 64, 64, 3), (539,))
    """
    if name == "digits":
        train, test = _digits()
        return _enlarged(train), train.labels, _enlarged(test), test.labels
    if data_dir is not None:
        data_dir = Path(data_dir).expanduser() / name
    with tempfile.TemporaryDirectory() as unpacked:
        if data_dir is not None and (data_dir / _CIFAR_ARCHIVE).is_file():
            with tarfile.open(data_dir / _CIFAR_ARCHIVE) as archive:
                archive.extractall(unpacked, filter="data")
            data_dir = Path(unpacked)
        splits = data.load(name, data_dir=data_dir, validation_fraction=0).splits
    train, test = splits["train"], splits["test"]
    return _floats(train.images), train.labels, _floats(test.images), test.labels


def _digits() -> tuple[Records, Records]:
    """A larger test set than the catalog's, which leaves one image in 359 a weight of 0.3 points."""
    splits = data.load("digits", validation_fraction=0).splits.values()
    labels, images = ([getattr(records, field) for records in splits] for field in ("labels", "images"))
    return split_off(Records(np.concatenate(labels), np.concatenate(images)), _DIGITS_HELD_OUT, seed=0)


def _enlarged(records: Records) -> np.ndarray:
    size = (_DIGITS_ENLARGED, _DIGITS_ENLARGED)
    images = keras.ops.image.resize(_floats(records.images), size, data_format="channels_last")
    return np.repeat(keras.ops.convert_to_numpy(images), 3, axis=-1)


def _floats(images: np.ndarray) -> np.ndarray:
    return images.astype("float32") / 255


def standardized(images: np.ndarray) -> np.ndarray:
    """Each image minus its mean, over its deviation: (x - mean) / max(deviation, 1 / sqrt(number of values)).

    As tf.image.per_image_standardization. Images are [N, H, W, C], and float32 afterwards.

    >>> images = standardized(np.arange(8.0).reshape(1, 2, 2, 2))
    >>> float(images.mean()), round(float(images.std()), 6)
    (0.0, 1.0)
    """
    mean, deviation = (moment(images, axis=(1, 2, 3), keepdims=True) for moment in (np.mean, np.std))
    least = 1 / np.sqrt(np.prod(images.shape[1:]))
    return ((images - mean) / np.maximum(deviation, least)).astype("float32")


class Augmented(keras.utils.PyDataset):
    """Whole batches of shuffled, shifted, mirrored and then prepared images, with one-hot labels.

    Args:
        images: [N, H, W, C].
        labels: [N].
        batch_size: Images a batch; what doesn't fill one is left out, others each epoch.
        shift: Pixels at most, in every direction; zeros come in.
        flip: Whether half of the images are mirrored.
        prepare: Makes of such images what the model takes.
        seed: Of everything random.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        shift: int,
        flip: bool,
        prepare: Callable[[np.ndarray], np.ndarray],
        seed: int,
    ) -> None:
        super().__init__()
        self.images, self.labels = images, keras.utils.to_categorical(labels)
        self.batch_size, self.shift, self.flip = batch_size, shift, flip
        self.prepare = prepare
        self.generator = np.random.default_rng(seed)
        self.order = self.generator.permutation(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def on_epoch_end(self) -> None:
        self.order = self.generator.permutation(len(self.images))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self._shifted(self.images[chosen])
        if self.flip:
            mirrored = self.generator.random(len(images)) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
        return self.prepare(images), self.labels[chosen]

    def _shifted(self, images: np.ndarray) -> np.ndarray:
        height, width = images.shape[1:3]
        border = (self.shift, self.shift)
        padded = np.pad(images, ((0, 0), border, border, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        top, left = self.generator.integers(0, 2 * self.shift + 1, [2, len(images)])
        return np.moveaxis(windows[np.arange(len(images)), top, left], 1, -1).copy()
