"""Batches epoch after epoch: deterministic, restartable after any of them, shared by workers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.errors import UserError

# A data set of (index int64, draws float32 [k]) -> one of what is read for each pair, or for those that can be read.
ReadAll = Callable[[tf.data.Dataset], tf.data.Dataset]


def check_batch_size(batch_size: int, *, workers: int = 1, records: int | None = None) -> None:
    """Refuses a `batch_size` that is below 1, above the number of `records` or no multiple of the `workers`."""
    if batch_size < 1:
        raise UserError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}.")
    if records is not None and batch_size > records:
        raise UserError(
            f"`batch_size` must be at most {records}, the number of training records, since batches are full. "
            f"Received: batch_size={batch_size}."
        )
    if batch_size % workers:
        raise UserError(f"`batch_size` must be a multiple of the {workers} workers. Received: batch_size={batch_size}.")


def batches_of_epochs(
    records: int,
    *,
    draws: int,
    batch_size: int,
    seed: int,
    epoch: int = 0,
    skip: int = 0,
    share: tuple[int, int] = (0, 1),
    read_all: ReadAll | None = None,
    may_skip: bool = False,
) -> tf.data.Dataset:
    """Full batches of shuffled records, without end.

    The order of an epoch is a pure function of (seed, epoch) and the draws of a record in it of (seed, epoch, record).

    Args:
        records: how many there are.
        draws: random numbers for each record.
        batch_size: records a batch; an epoch has `records // batch_size` batches, the remainder is dropped.
        seed: of order and draws.
        epoch: where to start, from 0.
        skip: batches of that epoch that are left out.
        share: (index, workers): the part of every batch to give, of so many equal ones.
        read_all: reads the records; None: batches have the pairs (index, draws) themselves.
        may_skip: whether `read_all` may leave records out. In their place the first ones of the epoch come again.
    """
    size, count = batch_size // share[1], records // batch_size
    # Which records fill a batch is known only once those before it are read, where some may be left out.
    unread = 0 if may_skip else skip

    def one_epoch(at: tf.Tensor) -> tf.data.Dataset:
        first = tf.cast(at == epoch, tf.int64)  # 1 in the epoch to start in
        plan = _epoch_plan(records, draws, seed, at)
        own = tuple(_own_share(values, batch_size, share)[first * unread * size :] for values in plan)
        examples = tf.data.Dataset.from_tensor_slices(own)
        if read_all is not None:
            # Repeated, so that an epoch has its number of batches also when records are left out.
            examples = read_all(examples).repeat()
        return examples.batch(size, drop_remainder=True).take(count - first * unread).skip(first * (skip - unread))

    return tf.data.Dataset.counter(epoch).flat_map(one_epoch)


def _epoch_plan(records: int, draws: int, seed: int, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The order of an epoch, int64 [N], and for each place in it the draws of its record, float32 [N, k]."""
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(tf.range(records, dtype=tf.int64), seed=key)
    of_augmentation = tf.random.experimental.stateless_fold_in(key, 1)
    return order, tf.random.stateless_uniform([records, draws], seed=of_augmentation)


def _own_share(values: tf.Tensor, batch_size: int, share: tuple[int, int]) -> tf.Tensor:
    """Of values in the order of an epoch, those that one worker reads: the same part of each full batch."""
    worker, workers = share
    full = len(values) // batch_size * batch_size
    parts = tf.split(tf.reshape(values[:full], [-1, batch_size, *values.shape[1:]]), workers, axis=1)
    own = tf.reshape(parts[worker], [-1, *values.shape[1:]])
    # The remainder is there to take the place of records that are left out.
    return tf.concat([own, values[full:]], axis=0) if workers == 1 else own


def read_whole_ones(read_one: Callable[..., tuple[Any, tf.Tensor]], *, parallel: int = tf.data.AUTOTUNE) -> ReadAll:
    """Reads several at a time, and keeps what could be read.

    Args:
        read_one: gives (what was read, whether that could be done).
        parallel: how many at a time.
    """

    def is_whole(value: Any, whole: tf.Tensor) -> tf.Tensor:
        return whole

    def without_flag(value: Any, whole: tf.Tensor) -> Any:
        return value

    def read_all(plan: tf.data.Dataset) -> tf.data.Dataset:
        return plan.map(read_one, num_parallel_calls=parallel).filter(is_whole).map(without_flag)

    return read_all


def all_in_batches(examples: tf.data.Dataset, batch_size: int, *, records: int, may_skip: bool) -> tf.data.Dataset:
    """All examples, the last batch short; how many batches there are is known, unless records may be left out."""
    batches = examples.batch(batch_size)
    if not may_skip:
        batches = batches.apply(tf.data.experimental.assert_cardinality(math.ceil(records / batch_size)))
    return batches


def without_end(batches: tf.data.Dataset) -> tf.data.Dataset:
    """`batches`, of which TensorFlow now knows that there is no end."""
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def prefetched(batches: tf.data.Dataset) -> tf.data.Dataset:
    """`batches` in a fixed order, made ahead, of which every worker of a strategy takes its share."""
    options = tf.data.Options()
    options.deterministic = True
    # Records are indices: every worker of a strategy makes the whole order and keeps its share.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)


def on_host(values: np.ndarray | None) -> tf.Tensor:
    """A tensor in main memory. Data sets refer to it; it becomes no constant of a graph, so its size has no limit."""
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(values)
