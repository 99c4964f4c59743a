"""From the name of a strategy to the devices that train."""

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
        return tf.distribute.MirroredStrategy(names)
    logger.info("strategy one on %s", names[0])
    return tf.distribute.OneDeviceStrategy(names[0])


def check_batch(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Each replica must get the same number of images, or their gradients would weigh unequally."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"`batch_size` is of all replicas together and must be a multiple of their number, {replicas}. "
            f"Received: batch_size={batch_size}. Choose {batch_size // replicas * replicas or replicas}."
        )


def use_jit(config: TrainConfig, strategy: tf.distribute.Strategy) -> bool:
    """Whether the step is compiled by XLA. On a CPU plain TensorFlow trains faster (docs/zoo.md), and XLA
    doesn't run on several logical CPUs; so `auto` means one GPU or a TPU.
    """
    if config.jit != "auto":
        return config.jit == "on"
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    return on_gpu and strategy.num_replicas_in_sync == 1
