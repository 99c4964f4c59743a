"""The trainer on TensorFlow: Keras' own `fit` on every strategy, with the gradients of several batches in a step."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from zoo.training.replica_fit import ReplicaFit
from zoo.training.trainer import Trainer


class TensorFlowTrainer(ReplicaFit, Trainer):
    """Each replica computes the gradients of its share, and Keras adds them up."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of the optimizer."""
        if self.accumulate == 1:
            return super().train_step(data)
        variables = self.trainable_variables
        total = [tf.zeros_like(variable) for variable in variables]
        for part in self._parts(data):
            gradients, logs = self._gradients(*keras.utils.unpack_x_y_sample_weight(part))
            total = [mean + gradient / self.accumulate for mean, gradient in zip(total, gradients, strict=True)]
        self.optimizer.apply_gradients(zip(total, variables, strict=True))
        return logs

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """A replica's share of the loss: gradients are summed, and a network's own loss is a mean over its batch."""
        loss = super().compute_loss(*args, **kwargs)
        return loss / self._replicas if self.has_own_loss else loss

    def _parts(self, data: Any) -> Iterator[Any]:
        """Every `accumulate`-th example: the same ones in a part, however many replicas share the step."""
        for first in range(self.accumulate):
            yield tf.nest.map_structure(lambda tensor, first=first: tensor[first :: self.accumulate], data)

    @property
    def _replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def _gradients(self, x: Any, y: Any, sample_weight: Any) -> tuple[list[tf.Tensor], dict[str, Any]]:
        """Of this replica's share of the loss; and the metrics so far."""
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            # Keras divides it by the number of replicas, whose gradients are summed.
            loss = self.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        images = tf.shape(tf.nest.flatten(x)[0])[0]
        self._loss_tracker.update_state(loss * self._replicas, sample_weight=images)
        gradients = tape.gradient(scaled, self.trainable_variables)
        return gradients, self.compute_metrics(x, y, outputs, sample_weight=sample_weight)
