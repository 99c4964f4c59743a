"""From the name of a strategy to the devices that train, on this machine and on others."""

import functools
import json
import logging
import os

import tensorflow as tf

from zoo.errors import UserError
from zoo.training.config import TrainConfig

logger = logging.getLogger(__name__)


@functools.cache
def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of this process, one for each name: it must be asked for before TensorFlow computes anything.

    - `one`: the first device.
    - `mirrored`: every GPU, or every logical CPU, of this machine.
    - `multi_worker`: every device of the workers that `TF_CONFIG`, or Slurm, names.
    - `tpu`: the TPU that TensorFlow finds.
    - `auto`: multi_worker where several workers are named, mirrored where there are several GPUs, else one.

    Raises:
        UserError: there are no such devices.
    """
    if name == "auto":
        name = _best_strategy()
    strategy = _STRATEGIES[name]()
    logger.info("strategy %s on %s", name, _devices_in_words(strategy))
    return strategy


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes files."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or (resolver.task_type, resolver.task_id) in _CHIEFS


def has_several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes train with this one."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def sum_over_workers(strategy: tf.distribute.Strategy, value: int) -> int:
    """The sum of a number over all workers, which wait for each other here."""
    if not has_several_workers(strategy):
        return value
    replicas = strategy.run(lambda: tf.constant(value, tf.float64))
    local = len(strategy.experimental_local_results(replicas))
    return round(float(strategy.reduce(tf.distribute.ReduceOp.SUM, replicas, axis=None)) / local)


def from_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """The chief's number, on all workers."""
    return sum_over_workers(strategy, value if is_chief(strategy) else 0)


def worker_share(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Which part of every batch this worker reads: its index, and the number of workers."""
    if not has_several_workers(strategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    return resolver.task_id, len(resolver.cluster_spec().as_dict()["worker"])


def check_replicas(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
    """Refuses what would not mean the same on several replicas as on one."""
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        nearest = config.batch_size // replicas * replicas or replicas
        raise UserError(
            f"`batch_size` is of all replicas together and must be a multiple of their number, {replicas}. "
            f"Received: batch_size={config.batch_size}. Choose {nearest}."
        )
    if replicas > 1 and config.jit == "on" and not tf.config.list_logical_devices("GPU"):
        raise UserError(
            f"`jit` must be off or auto on several logical CPUs, where XLA doesn't run. Received: jit='on' on "
            f"{replicas} replicas. Choose --jit off or --strategy one."
        )


def evaluation_batch_size(examples: int, batch_size: int, replicas: int) -> int:
    """The largest batch size up to `batch_size` of which every replica gets a share, also in the last batch.

    TensorFlow's convolution fails on an empty share on a CPU.

    >>> evaluation_batch_size(143, 142, 1), evaluation_batch_size(143, 142, 2), evaluation_batch_size(143, 64, 4)
    (142, 140, 64)
    """
    for size in range(min(batch_size, examples) // replicas * replicas, 0, -replicas):
        if not 0 < examples % size < replicas:
            return size
    raise UserError(
        f"`validation_fraction` must hold out at least an example for each of the {replicas} replicas. Received: "
        f"{examples} validation examples. Choose a larger share, or 0 for none."
    )


def use_jit(config: TrainConfig, strategy: tf.distribute.Strategy) -> bool:
    """Whether the step is compiled by XLA: with `auto`, on one GPU only. XLA doesn't run on several logical CPUs."""
    if config.jit != "auto":
        return config.jit == "on"
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    return on_gpu and strategy.num_replicas_in_sync == 1


def _best_strategy() -> str:
    # The environment is asked before the devices: listing them would be too early for several workers.
    if len(_workers_in_environment()) > 1 or int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"


def _workers_in_environment() -> list[str]:
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
        return [*cluster.get("chief", []), *cluster.get("worker", [])]
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"`TF_CONFIG` must be JSON as TensorFlow describes it ({error}). Unset or mend it.") from error


def _one_device() -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(_local_devices()[0])


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    """One strategy a process: each counts its collective operations from the same number, and TensorFlow aborts when
    two models of different shapes use one number.
    """
    return tf.distribute.MirroredStrategy(_local_devices())


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    workers = _workers_in_environment()
    if workers and "chief" in json.loads(os.environ["TF_CONFIG"])["cluster"]:
        raise UserError("`TF_CONFIG` must list all processes as workers, of which 0 is the chief. Received: a chief.")
    if workers:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=int(os.environ.get("SLURM_NTASKS_PER_NODE", "1")), gpus_per_task=1, auto_set_gpu=False
        )
    else:
        raise UserError(
            "`strategy` multi_worker needs workers in the environment variable TF_CONFIG, or a Slurm step. Start it by "
            "`python -m zoo.training.launch --workers 2 train.py ...` on one machine; docs/clusters.md shows more."
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        raise UserError(f"`strategy` multi_worker must be made before TensorFlow computes anything: {error}") from error


@functools.cache
def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"`strategy` tpu needs a TPU, and TensorFlow finds none ({error}). Choose another.") from error
    return tf.distribute.TPUStrategy(resolver)


def _local_devices() -> list[str]:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


def _devices_in_words(strategy: tf.distribute.Strategy) -> str:
    devices = ", ".join(strategy.extended.worker_devices)
    if not has_several_workers(strategy):
        return devices
    index, workers = worker_share(strategy)
    return f"{devices}: worker {index} of {workers}, {strategy.num_replicas_in_sync} replicas"


_STRATEGIES = {"one": _one_device, "mirrored": _mirrored, "multi_worker": _multi_worker, "tpu": _tpu}
_CHIEFS = {("chief", 0), ("worker", 0)}
