"""Optimizers as the papers define them."""

from typing import Any

import keras
import tensorflow as tf

from zoo.training.config import TrainConfig
from zoo.training.loss_scale import ReplicaLossScale
from zoo.training.weight_average import WeightAverage

NORM_VARIABLES = ("gamma", "beta")
_KERAS = keras.optimizers.Optimizer


class ReplicaClipping:
    """Clips the gradient of the whole batch: Keras clips what each replica computed, before it sums them.

    JAX's step has no replicas; what Keras clips there is of the whole batch.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Unless Keras asks these, the sum of all replicas would be clipped twice, or not at all.
        missing = [name for name in ("_clip_gradients", "_all_reduce_sum_gradients") if not hasattr(_KERAS, name)]
        if missing and keras.backend.backend() == "tensorflow":
            raise ImportError(f"keras {keras.version()} has no Optimizer.{missing[0]}; use keras 3.12 to 3.15.")

    def _clip_gradients(self, grads: list[tf.Tensor]) -> list[tf.Tensor]:
        if self._clips_the_sum():
            grads = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, grads)
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        # What was clipped is the sum already.
        return grads_and_vars if self._clips_the_sum() else super()._all_reduce_sum_gradients(grads_and_vars)

    def _clips_the_sum(self) -> bool:
        return tf.distribute.get_strategy().num_replicas_in_sync > 1 and bool(self.global_clipnorm)


class CoupledSGD(WeightAverage, ReplicaClipping, keras.optimizers.SGD):
    """SGD with momentum whose weight decay is part of the gradient, as in the papers, torch and Caffe2:

        g' = g + l2 * w ;  m = momentum * m - learning_rate * g' ;  w = w + m

    Keras' own `SGD(weight_decay=...)` shrinks the weight beside the step (`w -= learning_rate * decay * w`),
    out of the momentum's reach: with momentum 0.9 it decays ten times less than a paper's figure means.
    """

    def __init__(self, learning_rate: object, *, l2: float, **kwargs: object) -> None:
        super().__init__(learning_rate, **kwargs)
        self.l2 = l2

    def update_step(self, gradient: object, variable: keras.Variable, learning_rate: object) -> None:
        if self.l2 and self._use_weight_decay(variable):
            gradient = gradient + self.l2 * variable
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "l2": self.l2}


class ClippedAdamW(WeightAverage, ReplicaClipping, keras.optimizers.AdamW):
    """Keras' AdamW: weight decay beside the step, times the learning rate (1711.05101)."""


def make_optimizer(
    config: TrainConfig, schedule: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """The optimizer of `config` for `model`; with `decay_norm=False`, gamma and beta don't decay."""
    common = {
        "learning_rate": schedule,
        "global_clipnorm": config.clip_norm,
        "use_ema": config.ema is not None,
        "ema_momentum": config.ema or 0.0,
    }
    if config.optimizer == "sgd":
        optimizer = CoupledSGD(l2=config.weight_decay, momentum=config.momentum, **common)
    else:
        optimizer = ClippedAdamW(weight_decay=config.weight_decay, **common)
    if not config.decay_norm:
        kept = [v for v in model.trainable_variables if v.name in NORM_VARIABLES]
        optimizer.exclude_from_weight_decay(var_list=kept)
    return ReplicaLossScale(optimizer) if config.precision == "mixed_float16" else optimizer
