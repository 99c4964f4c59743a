"""What the trainers of all backends have in common."""

from typing import Any

import keras


class Trainer(keras.Model):
    """Trains a model, whose training step takes `accumulate` batches at once, one after the other.

    A step gets their images together, of all replicas, computes the gradients of each part in turn, and applies the
    mean of all parts and replicas once. So a step means the same on one replica and on many, and needs the memory of
    one part.

    Args:
        network: the model, which shares every weight with its trainer and stays as it is. One that has a `compute_loss`
            of its own, the mean over a batch, is trained by that: then `compile` takes no loss.
        accumulate: parts of a step.
    """

    def __init__(self, network: keras.Model, *, accumulate: int = 1) -> None:
        super().__init__(name=network.name, autocast=False)  # the network casts for itself
        self.network = network
        self.accumulate = accumulate
        self.has_own_loss = type(network).compute_loss is not keras.Model.compute_loss
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.network(inputs, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Keras' own, and those that the network's loss updates."""
        own = self.network.metrics if self.has_own_loss else []
        return [*super().metrics, *own]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The network's own loss, or that of `compile`."""
        computed = self.network.compute_loss if self.has_own_loss else super().compute_loss
        return computed(x, y, y_pred, sample_weight, training)
