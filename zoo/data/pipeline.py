"""From records to batches with tf.data: deterministic, restartable at any epoch, parallel."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from zoo.data import image_ops, schema
from zoo.data.augmentations import AUGMENTATIONS
from zoo.data.catalog import DatasetSpec
from zoo.data.corrupt import file_reader, image_reader
from zoo.data.epochs import (
    all_in_batches,
    batches_of_epochs,
    check_batch_size,
    on_host,
    prefetched,
    read_whole_ones,
    without_end,
)
from zoo.data.records import Records
from zoo.errors import unknown_name

# (uint8 [..., H, W, C], draws [..., k]) -> float32 [..., S, S, C], standardized.
_Prepare = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def training_batches(
    records: Records,
    spec: DatasetSpec,
    *,
    batch_size: int,
    seed: int,
    epoch: int = 0,
    skip: int = 0,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Shuffled, augmented, full batches, epoch after epoch without end.

    The order of an epoch is a pure function of (seed, epoch) and the augmentation of a record in it of (seed, epoch,
    record), so a run that starts at `epoch` gets what an uninterrupted run got from there on. Several workers read
    different parts of the same batches.

    Args:
        records: of the training split.
        spec: how to prepare the images.
        batch_size: images a batch; an epoch has `len(records) // batch_size` batches, the remainder is dropped.
            In place of files that were skipped, the first ones of the epoch come again.
        seed: of order and augmentation.
        epoch: where to start, from 0.
        skip: batches of that epoch that are left out.
        share: (index, workers): the part of every batch to read, of so many equal ones.

    Returns:
        Batches (image float32 [B, S, S, C] standardized, label int32 [B]) with B = batch_size / workers.

    Raises:
        UserError: `batch_size` is below 1, above `len(records)` or no multiple of the workers, or the augmentation is
            unknown.

    >>> from zoo.data import load
    >>> digits = load("digits")
    >>> image, label = next(iter(training_batches(digits.splits["train"], digits.spec, batch_size=32, seed=0)))
    >>> image.shape, label.shape
    (TensorShape([32, 16, 16, 1]), TensorShape([32]))
    """
    check_batch_size(batch_size, workers=share[1], records=len(records))
    if spec.augmentation not in AUGMENTATIONS:
        raise unknown_name("augmentation", spec.augmentation, AUGMENTATIONS)
    augmentation = AUGMENTATIONS[spec.augmentation]

    def prepare(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        image = image_ops.match_channels(image, spec.channels)
        return image_ops.standardize(augmentation.apply(image, spec, draws), spec)

    batches = batches_of_epochs(
        len(records),
        draws=augmentation.draws,
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        skip=skip,
        share=share,
        read_all=None if records.paths is None else lambda plan: _read(plan, records, prepare),
        may_skip=_may_skip(records),
    )
    if records.images is not None:
        batches = _gather(batches, records, prepare)
    return _finish(without_end(batches))


def evaluation_batches(records: Records, spec: DatasetSpec, *, batch_size: int) -> tf.data.Dataset:
    """Every record once, in order; the last batch may be short. Files that are skipped are missing.

    Args:
        records: of any split.
        spec: how to prepare the images (`image_ops.preprocess`).
        batch_size: images a batch.

    Returns:
        Batches (image float32 [B, S, S, C] standardized, label int32 [B]).

    Raises:
        UserError: `batch_size` is below 1.

    >>> from zoo.data import load
    >>> digits = load("digits")
    >>> [len(label) for _, label in evaluation_batches(digits.splits["test"], digits.spec, batch_size=200)]
    [200, 159]
    """
    check_batch_size(batch_size)

    def prepare(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        return image_ops.preprocess(image, spec)

    no_draws = np.zeros([len(records), 0], "float32")
    plan = tf.data.Dataset.from_tensor_slices((np.arange(len(records)), no_draws))
    if records.images is not None:
        return _finish(_gather(plan.batch(batch_size), records, prepare))
    return _finish(_in_batches(_read(plan, records, prepare), records, batch_size))


def file_batches(records: Records, *, batch_size: int) -> tf.data.Dataset:
    """Every file of the records once, in order, as its bytes; the last batch may be short.

    Each is decoded too, to find those that can't be: they are refused, or missing.

    Args:
        records: of any split, stored as files.
        batch_size: files a batch.

    Returns:
        Batches (contents of the files, string [B], label int32 [B]), none of them empty.

    Raises:
        UserError: `batch_size` is below 1.
        ValueError: the records are images in memory.

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/black.png"
    >>> tf.io.write_file(path, tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)))
    >>> [(len(file), label) for file, label in file_batches(Records([4, 5], paths=[path] * 2), batch_size=8)]
    [(2, <tf.Tensor: shape=(2,), dtype=int32, numpy=array([4, 5], dtype=int32)>)]
    """
    check_batch_size(batch_size)
    if records.paths is None:
        raise ValueError(f"`records` must be of files. Received: {len(records)} images in memory.")
    read = file_reader(records)

    def file(path: tf.Tensor, label: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        contents, whole = read(path)
        return (contents, label), whole

    files = tf.data.Dataset.from_tensor_slices((on_host(records.paths), on_host(records.labels)))
    return _finish(_in_batches(read_whole_ones(file)(files), records, batch_size), schema.FILE_BATCH)


def _may_skip(records: Records) -> bool:
    """Whether files of the records may turn out to be corrupt and be left out."""
    return records.paths is not None and records.on_corrupt == "skip"


def _gather(batches: tf.data.Dataset, records: Records, prepare: _Prepare) -> tf.data.Dataset:
    """(indices [B], draws [B, k]) -> (images, labels), a batch at a time."""
    images, labels = on_host(records.images), on_host(records.labels)
    return batches.map(
        lambda indices, draws: (prepare(tf.gather(images, indices), draws), tf.gather(labels, indices)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _read(plan: tf.data.Dataset, records: Records, prepare: _Prepare) -> tf.data.Dataset:
    """(index, draws [k]) -> (image, label), a file at a time, without those that can't be decoded."""
    paths, labels, read = on_host(records.paths), on_host(records.labels), image_reader(records)

    def example(index: tf.Tensor, draws: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        image, whole = read(tf.gather(paths, index))
        label = tf.gather(labels, index)
        schema.check((image, label), schema.EXAMPLE)
        return (prepare(image, draws), label), whole

    return read_whole_ones(example)(plan)


def _in_batches(examples: tf.data.Dataset, records: Records, batch_size: int) -> tf.data.Dataset:
    return all_in_batches(examples, batch_size, records=len(records), may_skip=_may_skip(records))


def _finish(batches: tf.data.Dataset, form: Mapping[str, schema.Field] = schema.BATCH) -> tf.data.Dataset:
    schema.check(batches.element_spec, form)
    return prefetched(batches)
