"""Decodes a data set of small image files into memory, once, instead of in every epoch."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.data.catalog import DatasetSpec
from zoo.data.corrupt import Reader, image_reader, read_whole, translated_errors
from zoo.data.image_ops import match_channels
from zoo.data.records import Records
from zoo.errors import UserError

_CHUNK = 256


def decode_into_memory(records: Records, spec: DatasetSpec, *, description: str) -> Records:
    """The records of files as records of images, which must all be `spec.image_size` square.

    Files that can't be decoded are refused or left out, as `records.on_corrupt` says.

    Args:
        records: of image files.
        spec: its channels and image size are those of the images.
        description: what the progress bar says.
    """
    size, paths = spec.image_size, np.asarray(records.paths)
    images = np.empty([len(records), size, size, spec.channels], "uint8")
    kept = np.zeros(len(records), bool)
    done = 0
    # `disable=None`: no bar where the output is no terminal.
    bar = tqdm(desc=description, total=len(records), unit=" images", leave=False, disable=None)
    with translated_errors(), bar:

        def fill(read: Reader) -> None:
            nonlocal done
            for chunk, whole, shapes in _chunks(paths[done:], spec, read):
                part = slice(done, done + len(chunk))
                _check_sizes(paths[part], shapes, whole, spec)
                images[part], kept[part] = chunk, whole
                done = part.stop
                bar.update(len(chunk))

        # The reader that tells which file can't be decoded takes three times as long: it goes on where this one fails.
        with suppress(tf.errors.OpError):
            fill(read_whole)
        if done < len(records):
            fill(image_reader(records))
    return Records(records.labels[kept], images if kept.all() else images[kept])


def _chunks(paths: np.ndarray, spec: DatasetSpec, read: Reader) -> Iterator[tuple[np.ndarray, ...]]:
    """Images, cropped or padded to the right size, whether they could be decoded, and their true sizes."""

    def decode(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image, whole = read(path)
        fitting = tf.image.resize_with_crop_or_pad(image, spec.image_size, spec.image_size)
        return match_channels(fitting, spec.channels), whole, tf.shape(image)[:2]

    files = tf.data.Dataset.from_tensor_slices(paths.astype(str))
    decoded = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    yield from decoded.batch(_CHUNK).prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def _check_sizes(paths: np.ndarray, shapes: np.ndarray, whole: np.ndarray, spec: DatasetSpec) -> None:
    for at in np.flatnonzero(whole & (shapes != spec.image_size).any(axis=1)):
        raise UserError(
            f"Every image of {spec.name} must be {spec.image_size} x {spec.image_size}. "
            f"Received: {paths[at]}, {shapes[at, 0]} x {shapes[at, 1]}."
        )
