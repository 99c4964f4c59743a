"""The end of a run that has stopped getting better."""

import logging

import keras

from zoo.training.checkpoint import Progress
from zoo.training.distribute import from_chief

logger = logging.getLogger(__name__)


def has_stopped_early(progress: Progress, patience: int | None) -> bool:
    """Whether the best epoch so far is `patience` epochs ago; never without `patience`.

    >>> has_stopped_early(Progress(epoch=5, best_epoch=3), 2), has_stopped_early(Progress(epoch=5, best_epoch=3), 3)
    (True, False)
    """
    return patience is not None and progress.epoch - progress.best_epoch >= patience


class EarlyStopping(keras.callbacks.Callback):
    """Ends `fit` after `patience` epochs without a new best value; the `Recorder` must come before.

    What it goes by is in `progress`, and so in every checkpoint.
    """

    def __init__(self, progress: Progress, *, patience: int, watch: str) -> None:
        super().__init__()
        self.progress = progress
        self.patience = patience
        self.watch = watch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # Workers that score by themselves may round otherwise.
        best = self.progress.best_epoch = from_chief(self.model.distribute_strategy, self.progress.best_epoch)
        if has_stopped_early(self.progress, self.patience):
            logger.info("stops after epoch %d: the best val_%s is that of epoch %d", epoch + 1, self.watch, best)
            self.model.stop_training = True
