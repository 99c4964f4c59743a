"""From records to batches with tf.data: deterministic, restartable at any epoch, parallel."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from zoo.data import image_ops, schema
from zoo.data.augmentations import AUGMENTATIONS, Augmentation
from zoo.data.catalog import DatasetSpec
from zoo.data.corrupt import file_reader, image_reader
from zoo.data.records import Records
from zoo.errors import UserError, unknown_name

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
    _check_batch_size(batch_size, records)
    if batch_size % share[1]:
        raise UserError(
            f"`batch_size` must be a multiple of the {share[1]} workers. Received: batch_size={batch_size}."
        )
    if spec.augmentation not in AUGMENTATIONS:
        raise unknown_name("augmentation", spec.augmentation, AUGMENTATIONS)
    augmentation = AUGMENTATIONS[spec.augmentation]

    def prepare(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        image = image_ops.match_channels(image, spec.channels)
        return image_ops.standardize(augmentation.apply(image, spec, draws), spec)

    size, count = batch_size // share[1], len(records) // batch_size
    # Which files fill a batch is known only once those before it are read, where corrupt ones are left out.
    unread = skip if records.images is not None or records.on_corrupt == "refuse" else 0

    def one_epoch(at: tf.Tensor) -> tf.data.Dataset:
        first = tf.cast(at == epoch, tf.int64)  # 1 in the epoch to start in
        plan = _epoch_plan(records, augmentation, seed, at)
        own = tuple(_own_share(values, batch_size, share)[first * unread * size :] for values in plan)
        examples = tf.data.Dataset.from_tensor_slices(own)
        if records.paths is not None:
            # Repeated, so that an epoch has its number of batches also when files are skipped.
            examples = _read(examples, records, prepare).repeat()
        return examples.batch(size, drop_remainder=True).take(count - first * unread).skip(first * (skip - unread))

    batches = tf.data.Dataset.counter(epoch).flat_map(one_epoch)
    if records.images is not None:
        batches = _gather(batches, records, prepare)
    return _finish(batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)))


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
    _check_batch_size(batch_size, None)

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
    _check_batch_size(batch_size, None)
    if records.paths is None:
        raise ValueError(f"`records` must be of files. Received: {len(records)} images in memory.")
    read = file_reader(records)

    def file(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        contents, whole = read(path)
        return contents, label, whole

    files = tf.data.Dataset.from_tensor_slices((_on_host(records.paths), _on_host(records.labels)))
    files = _decodable(files.map(file, num_parallel_calls=tf.data.AUTOTUNE))
    return _finish(_in_batches(files, records, batch_size), schema.FILE_BATCH)


def _check_batch_size(batch_size: int, records: Records | None) -> None:
    if batch_size < 1:
        raise UserError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}.")
    if records is not None and batch_size > len(records):
        raise UserError(
            f"`batch_size` must be at most {len(records)}, the number of training records, since batches are full. "
            f"Received: batch_size={batch_size}."
        )


def _epoch_plan(
    records: Records, augmentation: Augmentation, seed: int, epoch: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The order of an epoch, int64 [N], and for each place in it the draws of its record, float32 [N, k]."""
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(tf.range(len(records), dtype=tf.int64), seed=key)
    of_augmentation = tf.random.experimental.stateless_fold_in(key, 1)
    return order, tf.random.stateless_uniform([len(records), augmentation.draws], seed=of_augmentation)


def _own_share(values: tf.Tensor, batch_size: int, share: tuple[int, int]) -> tf.Tensor:
    """Of values in the order of an epoch, those that one worker reads: the same part of each full batch."""
    worker, workers = share
    full = len(values) // batch_size * batch_size
    parts = tf.split(tf.reshape(values[:full], [-1, batch_size, *values.shape[1:]]), workers, axis=1)
    own = tf.reshape(parts[worker], [-1, *values.shape[1:]])
    # The remainder is there to take the place of files that are skipped.
    return tf.concat([own, values[full:]], axis=0) if workers == 1 else own


def _gather(batches: tf.data.Dataset, records: Records, prepare: _Prepare) -> tf.data.Dataset:
    """(indices [B], draws [B, k]) -> (images, labels), a batch at a time."""
    images, labels = _on_host(records.images), _on_host(records.labels)
    return batches.map(
        lambda indices, draws: (prepare(tf.gather(images, indices), draws), tf.gather(labels, indices)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _read(plan: tf.data.Dataset, records: Records, prepare: _Prepare) -> tf.data.Dataset:
    """(index, draws [k]) -> (image, label), a file at a time, without those that can't be decoded."""
    paths, labels, read = _on_host(records.paths), _on_host(records.labels), image_reader(records)

    def example(index: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image, whole = read(tf.gather(paths, index))
        label = tf.gather(labels, index)
        schema.check((image, label), schema.EXAMPLE)
        return prepare(image, draws), label, whole

    return _decodable(plan.map(example, num_parallel_calls=tf.data.AUTOTUNE))


def _decodable(examples: tf.data.Dataset) -> tf.data.Dataset:
    """(value, label, whether it could be decoded) -> (value, label) of those that could."""

    def is_whole(value: tf.Tensor, label: tf.Tensor, whole: tf.Tensor) -> tf.Tensor:
        return whole

    def without_flag(value: tf.Tensor, label: tf.Tensor, whole: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return value, label

    return examples.filter(is_whole).map(without_flag)


def _in_batches(examples: tf.data.Dataset, records: Records, batch_size: int) -> tf.data.Dataset:
    """All examples, the last batch short; how many batches there are is known, unless files may be skipped."""
    batches = examples.batch(batch_size)
    if records.on_corrupt == "refuse":
        batches = batches.apply(tf.data.experimental.assert_cardinality(math.ceil(len(records) / batch_size)))
    return batches


def _on_host(values: np.ndarray | None) -> tf.Tensor:
    """A tensor in main memory. Data sets refer to it; it becomes no constant of a graph, so its size has no limit."""
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(values)


def _finish(batches: tf.data.Dataset, form: Mapping[str, schema.Field] = schema.BATCH) -> tf.data.Dataset:
    schema.check(batches.element_spec, form)
    options = tf.data.Options()
    options.deterministic = True
    # Records are indices: every worker of a strategy makes the whole order and keeps its share.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
