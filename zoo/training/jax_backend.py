"""Training on JAX: one device, or all by keras.distribution.DataParallel."""

from collections.abc import Callable
from typing import Any

import keras

from zoo.errors import UserError
from zoo.training.config import TrainConfig
from zoo.training.jax_strategy import JaxStrategy
from zoo.training.jax_trainer import JaxTrainer

TRAINER = JaxTrainer
COMPUTES_WITH_TENSORFLOW = False


def has_several_accelerators() -> bool:
    """Whether `auto` is worth more than one device."""
    devices = keras.distribution.list_devices()
    return len(devices) > 1 and not devices[0].startswith("cpu")


def device_names(strategy: JaxStrategy) -> list[str]:
    """Those of this process."""
    return [f"{device} (JAX)" for device in strategy.devices]


def refuse(config: TrainConfig, strategy: JaxStrategy) -> None:
    """JAX's step is always compiled, and its batch normalization always over all devices."""
    if config.jit == "off":
        raise UserError("`jit` must be auto or on with JAX, which always compiles. Received: jit='off'. Leave it out.")
    if config.norm.startswith("sync_bn"):
        raise UserError(
            f"`norm` sync_bn is TensorFlow's. Received: norm={config.norm!r} with JAX. Choose "
            f"{config.norm.replace('sync_bn', 'bn', 1)}, whose statistics are over the images of all devices on JAX."
        )


def use_jit(config: TrainConfig, strategy: JaxStrategy) -> bool:
    """Always."""
    return True


def synchronize(model: keras.Model) -> None:
    """Within `fit` Keras keeps the variables' values apart from them."""
    model.jax_state_sync()


def predictor(model: keras.Model) -> Callable[[Any], Any]:
    """Keras' own."""
    return model.predict_on_batch


def _one_device() -> JaxStrategy:
    return JaxStrategy(None)


def _mirrored() -> JaxStrategy:
    return JaxStrategy(keras.distribution.DataParallel(devices=keras.distribution.list_devices()))


def _multi_worker() -> JaxStrategy:
    raise UserError(
        "`strategy` multi_worker trains on TensorFlow only, and Keras runs on JAX. Leave out KERAS_BACKEND; or train "
        "on the devices of one machine by --strategy mirrored, without TF_CONFIG and outside a step of several tasks."
    )


def _tpu() -> JaxStrategy:
    raise UserError(
        "`strategy` tpu is TensorFlow's, and Keras runs on JAX. Choose mirrored, which takes every device that JAX "
        "finds, TPUs too."
    )


STRATEGIES = {"one": _one_device, "mirrored": _mirrored, "multi_worker": _multi_worker, "tpu": _tpu}
