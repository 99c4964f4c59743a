"""The trainer on JAX: Keras' own `fit` on one device or several, with the gradients of several batches in a step."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import tensorflow as tf

from zoo.training.jax_strategy import JaxStrategy
from zoo.training.trainer import Trainer

# What a step takes and returns: lists of arrays, one for each variable.
State = tuple[list[jax.Array], ...]


class JaxTrainer(Trainer):
    """The compiled step sees all images at once, and its compiler shares them among the devices.

    So gradients, their clipping, and the statistics of batch normalization are those of the whole batch.
    """

    def __init__(self, network: keras.Model, *, accumulate: int = 1) -> None:
        super().__init__(network, accumulate=accumulate)
        self.distribute_strategy = JaxStrategy(keras.distribution.distribution())

    def fit(self, *args: Any, validation_data: tf.data.Dataset | None = None, **kwargs: Any) -> Any:
        """As Keras' `fit`, of batches whose number of images is a multiple of the devices'; validation's may be any."""
        replicas = self.distribute_strategy.num_replicas_in_sync
        if validation_data is not None and replicas > 1:
            validation_data = validation_data.map(lambda x, y: _fill_up(x, y, replicas))
        with self.distribute_strategy.scope():
            return super().fit(*args, validation_data=validation_data, **kwargs)

    def train_step(self, state: State, data: Any) -> tuple[dict[str, Any], State]:
        """One step of the optimizer."""
        if self.accumulate == 1:
            return super().train_step(state, data)
        trainable, fixed, optimizer, metrics = state
        differentiate = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)

        def add_part(sums: State, part: Any) -> tuple[State, dict[str, Any]]:
            total, fixed, metrics = sums
            x, y, weight = keras.utils.unpack_x_y_sample_weight(part)
            (_, (loss, outputs, fixed, metrics)), gradients = differentiate(
                trainable, fixed, metrics, x, y, weight, training=True, optimizer_variables=optimizer
            )
            total = [mean + gradient / self.accumulate for mean, gradient in zip(total, gradients, strict=True)]
            logs, metrics = self._update_metrics(metrics, loss, _examples(x), x, y, outputs, weight)
            return (total, fixed, metrics), logs

        nothing = [jnp.zeros_like(variable) for variable in trainable]
        # A loop of the compiled program: only one part is in memory.
        (total, fixed, metrics), logs = jax.lax.scan(add_part, (nothing, fixed, metrics), self._parts(data))
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, total, trainable)
        return {name: values[-1] for name, values in logs.items()}, (trainable, fixed, optimizer, metrics)

    def test_step(self, state: State, data: Any) -> tuple[dict[str, Any], State]:
        """As Keras' step; images of weight 0, which fill a batch up, don't count."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if weight is None:
            return super().test_step(state, data)
        trainable, fixed, metrics = state
        _, (loss, outputs, fixed, metrics) = self.compute_loss_and_updates(
            trainable, fixed, metrics, x, y, weight, training=False
        )
        counted = weight.sum()
        # Keras divides the weighted sum by the number of all images.
        logs, metrics = self._update_metrics(metrics, loss * _examples(x) / counted, counted, x, y, outputs, weight)
        return logs, (trainable, fixed, metrics)

    def _parts(self, data: Any) -> Any:
        """`[B * A, ...]` to `[A, B, ...]`: every A-th example in a part, as on TensorFlow."""

        def split(tensor: jax.Array) -> jax.Array:
            parts = tensor.reshape(-1, self.accumulate, *tensor.shape[1:]).swapaxes(0, 1)
            return self.distribute_strategy.shard(parts, 1)

        return jax.tree.map(split, data)

    def _update_metrics(
        self,
        metrics: list[jax.Array],
        loss: jax.Array,
        examples: Any,
        x: jax.Array,
        y: jax.Array,
        outputs: jax.Array,
        weight: jax.Array | None,
    ) -> tuple[dict[str, Any], list[jax.Array]]:
        """The metrics so far, and the values of their variables."""
        with keras.StatelessScope(state_mapping=list(zip(self.metrics_variables, metrics, strict=True))) as scope:
            self._loss_tracker.update_state(loss, sample_weight=examples)
            logs = self.compute_metrics(x, y, outputs, sample_weight=weight)
        return logs, [scope.get_current_value(variable) for variable in self.metrics_variables]


def _examples(x: Any) -> int:
    """How many a batch has, an array or a structure of arrays."""
    return len(jax.tree.leaves(x)[0])


def _fill_up(x: tf.Tensor, y: tf.Tensor, multiple: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A batch whose last example is repeated until all `multiple` devices get as many; and weights, 0 for repeated."""
    count = tf.shape(y)[0]
    places = tf.range(count + -count % multiple)
    chosen = tf.minimum(places, count - 1)
    return tf.gather(x, chosen), tf.gather(y, chosen), tf.cast(places < count, tf.float32)
