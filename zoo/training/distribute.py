"""From the name of a strategy to the devices that train."""

import functools
import logging

import tensorflow as tf

from zoo.errors import UserError
from zoo.training.config import TrainConfig

logger = logging.getLogger(__name__)


def make_strategy(name: str) -> tf.distribute.Strategy:
    """`one`: the first device. `mirrored`: every GPU, or every logical CPU. `auto`: mirrored where there are
    several GPUs, else one.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name for device in devices]
    several_gpus = len(devices) > 1 and devices[0].device_type == "GPU"
    if name == "mirrored" or (name == "auto" and several_gpus):
        logger.info("strategy mirrored on %s", ", ".join(names))
        return _mirrored_strategy(tuple(names))
    logger.info("strategy one on %s", names[0])
    return tf.distribute.OneDeviceStrategy(names[0])


@functools.cache
def _mirrored_strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One strategy a process: each counts its collective operations from the same number, and TensorFlow aborts when
    two models of different shapes use one number.
    """
    return tf.distribute.MirroredStrategy(list(devices))


def check_replicas(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
    """Refuses what would not mean the same on several replicas as on one."""
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        nearest = config.batch_size // replicas * replicas or replicas
        raise UserError(
            f"`batch_size` is of all replicas together and must be a multiple of their number, {replicas}. "
            f"Received: batch_size={config.batch_size}. Choose {nearest}."
        )
    if replicas > 1 and config.accumulate > 1:
        raise UserError(
            f"`accumulate` must be 1 with several replicas, where Keras can't add up gradients. Received: "
            f"accumulate={config.accumulate} on {replicas} replicas. Choose --strategy one, or a larger batch."
        )
    if replicas > 1 and config.jit == "on" and not tf.config.list_logical_devices("GPU"):
        raise UserError(
            f"`jit` must be off or auto on several logical CPUs, where XLA doesn't run. Received: jit='on' on "
            f"{replicas} replicas. Choose --jit off or --strategy one."
        )


def evaluation_batch_size(examples: int, batch_size: int, replicas: int) -> int:
    """The largest batch size up to `batch_size` that Keras can evaluate on `replicas`.

    The first batch must be the same on all replicas (Keras averages it to learn its shape), and the last one must
    leave none of them empty (where TensorFlow's convolution fails on a CPU).

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
