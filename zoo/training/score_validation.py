"""The validation split, scored as a whole after every epoch."""

import keras

from zoo.tasks import Task
from zoo.training.evaluation import evaluate_model
from zoo.training.weight_average import averaged_weights


class ScoreValidation(keras.callbacks.Callback):
    """Adds the metrics of the validation split to the logs of an epoch, for the callbacks that come after it.

    For tasks whose metrics are no means over batches, such as average precision.

    Args:
        task: what to score.
        network: the model that is trained.
        batch_size: images at a time.
    """

    def __init__(self, task: Task, network: keras.Model, *, batch_size: int) -> None:
        super().__init__()
        self.task = task
        self.network = network
        self.batch_size = batch_size

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        with averaged_weights(self.model):
            scores = evaluate_model(self.network, self.task, "validation", batch_size=self.batch_size).metrics
        logs.update({f"val_{name}": value for name, value in scores.items()})
