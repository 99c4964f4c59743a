"""From the name of a strategy to the devices that train, on this machine and on others."""

import functools
import logging
from typing import Any

import tensorflow as tf

from zoo.errors import UserError
from zoo.training.backend import leave_gpus_to_backend, training_backend
from zoo.training.cluster import names_several_workers, workers_in_environment
from zoo.training.config import TrainConfig

logger = logging.getLogger(__name__)

# A tf.distribute.Strategy, or what stands for one on another backend (see `zoo.training.backend.Backend`).
Strategy = Any


@functools.cache
def make_strategy(name: str) -> Strategy:
    """The strategy of this process, one for each name: it must be asked for before TensorFlow computes anything.

    - `one`: the first device.
    - `mirrored`: every GPU, or every logical CPU, of this machine; on JAX every device.
    - `multi_worker`: every device of the workers that `TF_CONFIG`, or Slurm, names; on TensorFlow only.
    - `tpu`: the TPU that TensorFlow finds; on TensorFlow only.
    - `auto`: multi_worker where several workers are named, mirrored where there are several GPUs, else one.

    Raises:
        UserError: there are no such devices, or the backend doesn't train on them.
    """
    backend = training_backend()
    leave_gpus_to_backend()
    workers = len(workers_in_environment())
    if name in ("one", "mirrored") and workers > 1:
        raise UserError(
            f"`strategy` {name} trains in one process, and TF_CONFIG names {workers} workers, each of which would "
            f"train alone and write the same files. Received: strategy={name!r}. Start it without the launcher and "
            "without TF_CONFIG, or choose multi_worker."
        )
    if name == "auto":
        name = _best_strategy()
    strategy = backend.STRATEGIES[name]()
    logger.info("strategy %s on %s", name, _devices_in_words(strategy))
    return strategy


def is_chief(strategy: Strategy) -> bool:
    """Whether this process is the one that writes files."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or (resolver.task_type, resolver.task_id) in _CHIEFS


def has_several_workers(strategy: Strategy) -> bool:
    """Whether other processes train with this one."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def sum_over_workers(strategy: Strategy, value: int) -> int:
    """The sum of a number over all workers, which wait for each other here."""
    if not has_several_workers(strategy):
        return value
    return round(float(_sum_in_graph(strategy)(tf.constant(value, tf.float64))))


@functools.cache
def _sum_in_graph(strategy: Strategy) -> Any:
    """Sums a float64 scalar; traced once, for an eager `strategy.run` takes more than twice as long."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.float64)])
    def total(value: tf.Tensor) -> tf.Tensor:
        replicas = strategy.run(lambda: value)
        local = len(strategy.experimental_local_results(replicas))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, replicas, axis=None) / local

    return total


def from_chief(strategy: Strategy, value: int) -> int:
    """The chief's number, on all workers."""
    return sum_over_workers(strategy, value if is_chief(strategy) else 0)


def worker_share(strategy: Strategy) -> tuple[int, int]:
    """Which part of every batch this worker reads: its index, and the number of workers."""
    if not has_several_workers(strategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    return resolver.task_id, len(resolver.cluster_spec().as_dict()["worker"])


def check_replicas(config: TrainConfig, strategy: Strategy) -> None:
    """Refuses what would not mean the same on several replicas as on one, or what the backend can't do."""
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        nearest = config.batch_size // replicas * replicas or replicas
        divisors = [str(number) for number in range(1, replicas) if config.batch_size % number == 0]
        raise UserError(
            f"`batch_size` is of all replicas together and must be a multiple of their number, {replicas}. "
            f"Received: batch_size={config.batch_size}. Choose {nearest}; or {' or '.join(divisors)} replicas, as for "
            "a run that is resumed, whose batch size is settled."
        )
    training_backend().refuse(config, strategy)


def evaluation_batch_size(examples: int, batch_size: int, replicas: int) -> int:
    """The largest batch size up to `batch_size` of which every replica gets a share, also in the last batch.

    Where there is none, the smallest above it. TensorFlow's convolution fails on an empty share on a CPU.

    >>> evaluation_batch_size(143, 142, 1), evaluation_batch_size(143, 142, 2), evaluation_batch_size(143, 64, 4)
    (142, 140, 64)
    >>> evaluation_batch_size(143, 2, 2), evaluation_batch_size(13, 9, 3)
    (4, 15)
    """
    lower = range(min(batch_size, examples) // replicas * replicas, 0, -replicas)
    higher = range(batch_size // replicas * replicas + replicas, examples + replicas, replicas)
    for size in (*lower, *higher):
        last = examples % size
        share = -(-last // replicas)  # what TensorFlow gives to each, and what is left to the last one
        if last == 0 or last > share * (replicas - 1):
            return size
    raise UserError(
        f"`validation_fraction` must hold out a number of examples of which each of the {replicas} replicas can get a "
        f"share. Received: {examples} validation examples. Choose another share, or 0 for none."
    )


def _best_strategy() -> str:
    # The environment is asked before the devices: listing them would be too early for several workers.
    if names_several_workers():
        return "multi_worker"
    return "mirrored" if training_backend().has_several_accelerators() else "one"


def _devices_in_words(strategy: Strategy) -> str:
    devices = ", ".join(training_backend().device_names(strategy))
    if not has_several_workers(strategy):
        return devices
    index, workers = worker_share(strategy)
    return f"{devices}: worker {index} of {workers}, {strategy.num_replicas_in_sync} replicas"


_CHIEFS = {("chief", 0), ("worker", 0)}
