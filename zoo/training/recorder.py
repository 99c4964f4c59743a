"""Keeps what an epoch leaves: its row of the history, the curves, the best model, the checkpoint."""

import keras
import pandas as pd

from keras_gn.files import atomic_path
from zoo.training.checkpoint import Checkpoints, Progress
from zoo.training.curves import draw_curves
from zoo.training.distribute import is_chief
from zoo.training.run_folder import RunFolder
from zoo.training.weight_average import averaged_weights


class Recorder(keras.callbacks.Callback):
    """Writes history.csv, curves.png, best.keras and a checkpoint at the end of every epoch.

    The checkpoint comes last: a run that dies before it goes on from the one before, and writes the same files again.
    The other way round, its best model could be missing for good. Of several workers, each keeps count and the chief
    writes.

    Args:
        folder: where to write.
        checkpoints: where the checkpoint goes.
        progress: the state of the run, updated in place.
        best_model: the model to save as `best.keras`, sharing its weights with the one that trains.
        watch: the metric whose highest value on the validation split is the best.
        held_out: whether there is one; otherwise the newest model counts as the best.
    """

    def __init__(
        self,
        folder: RunFolder,
        checkpoints: Checkpoints,
        progress: Progress,
        best_model: keras.Model,
        *,
        watch: str,
        held_out: bool,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.checkpoints = checkpoints
        self.progress = progress
        self.best_model = best_model
        self.watch = watch
        self.held_out = held_out

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **logs, "learning_rate": float(self.model.optimizer.learning_rate)}
        self.progress.history.append(row)
        self.progress.epoch, self.progress.batch = epoch + 1, 0
        best = self._is_best(logs)
        with averaged_weights(self.model):
            if is_chief(self.model.distribute_strategy):
                self._write(best=best)
        self.checkpoints.save(self.progress)

    def _write(self, *, best: bool) -> None:
        if best:
            with atomic_path(self.folder.best_model) as temporary:
                self.best_model.save(temporary)
        history = pd.DataFrame(self.progress.history)
        with atomic_path(self.folder.history_file) as temporary:
            history.to_csv(temporary, index=False)
        draw_curves(history, self.folder.curves_file, watch=self.watch)

    def _is_best(self, logs: dict[str, float]) -> bool:
        if not self.held_out:
            return True
        value = logs[f"val_{self.watch}"]
        if self.progress.best is not None and not value > self.progress.best:
            return False
        self.progress.best, self.progress.best_epoch = value, self.progress.epoch
        return True
