"""Stops a run whose loss is no longer a number, before it overwrites anything good."""

import math
from pathlib import Path

import keras
import numpy as np

from zoo.errors import UserError
from zoo.training.checkpoint import newest_first


class NanGuard(keras.callbacks.Callback):
    """Raises a `UserError` at the first batch, or validation, whose loss is NaN or infinite.

    It must come before the callbacks that save: the weights of such a step are lost already.
    """

    def __init__(self, checkpoints: Path) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._check((logs or {}).get("loss"), f"step {batch + 1} of epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._check((logs or {}).get("val_loss"), f"the validation after epoch {epoch + 1}")
        # The last step of an epoch may have ruined the weights after its loss was taken.
        finite = all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in self.model.weights)
        self._check(0.0 if finite else math.nan, f"the weights after epoch {epoch + 1}")

    def _check(self, loss: float | None, where: str) -> None:
        if loss is None or math.isfinite(loss):
            return
        kept = newest_first(self.checkpoints)
        good = f"The last good checkpoint is kept: {kept[0]}." if kept else "There was no checkpoint yet."
        raise UserError(
            f"The loss and the weights must be finite. Received: loss={loss} at {where}. {good} Start a new run "
            "with a lower --learning-rate, a longer --warmup or --clip-norm 1; with mixed_float16, try mixed_bfloat16."
        )
