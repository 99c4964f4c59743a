"""The Keras backend that trains: what depends on it is chosen here."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import keras
import tensorflow as tf

from zoo.errors import UserError
from zoo.training.config import TrainConfig
from zoo.training.trainer import Trainer


class Backend(Protocol):
    """What the module of a backend holds.

    A strategy is a `tf.distribute.Strategy`, or has what training asks of one: `scope()`, `num_replicas_in_sync` and
    `cluster_resolver`.
    """

    STRATEGIES: Mapping[str, Callable[[], Any]]
    """By name, what makes it or refuses it."""

    TRAINER: type[Trainer]

    COMPUTES_WITH_TENSORFLOW: bool
    """Whether models are TensorFlow's: then they can have the native kernel, and be exported as they are."""

    def has_several_accelerators(self) -> bool: ...

    def device_names(self, strategy: Any) -> list[str]: ...

    def refuse(self, config: TrainConfig, strategy: Any) -> None:
        """Refuses settings that this backend can't train with."""

    def use_jit(self, config: TrainConfig, strategy: Any) -> bool: ...

    def synchronize(self, model: keras.Model) -> None:
        """Has the model's variables show what the last step made, also within `fit`, and the same on all replicas."""

    def predictor(self, model: keras.Model) -> Callable[[Any], Any]:
        """A function of a batch of inputs, arrays, to the model's outputs as at inference."""


def training_backend() -> Backend:
    """The backend that Keras computes with.

    Raises:
        UserError: training doesn't run on it.
    """
    name = keras.backend.backend()
    if name not in _BACKENDS:
        raise UserError(
            f"`KERAS_BACKEND` must be {' or '.join(_BACKENDS)} to train. Received: {name}. Set the environment "
            "variable to one of them, or leave it out for tensorflow."
        )
    return cast(Backend, importlib.import_module(_BACKENDS[name]))


def leave_gpus_to_backend() -> None:
    """Where another backend computes, TensorFlow only reads data: it must not take the memory of the GPUs.

    It has to be called before TensorFlow computes anything.
    """
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")


_BACKENDS = {"tensorflow": "zoo.training.tensorflow_backend", "jax": "zoo.training.jax_backend"}
