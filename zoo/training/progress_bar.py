"""One bar for the whole run: images done, time left, images a second, and a line for each epoch."""

import sys
import time

import keras
from tqdm import tqdm


class ProgressBar(keras.callbacks.Callback):
    """Shows the run as one tqdm bar in images, with the loss and accuracy of the epoch so far.

    Args:
        total_batches: batches of the whole run.
        batch_size: images a batch.
        done_batches: batches that an earlier, interrupted part of the run has made.
    """

    def __init__(self, total_batches: int, *, batch_size: int, done_batches: int = 0) -> None:
        super().__init__()
        self.total_batches = total_batches
        self.batch_size = batch_size
        self.done_batches = done_batches
        self._bar: tqdm | None = None
        self._epoch_start = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        interactive = sys.stderr.isatty()
        self._bar = tqdm(
            total=self.total_batches * self.batch_size,
            initial=self.done_batches * self.batch_size,
            unit="images",
            unit_scale=True,
            dynamic_ncols=True,
            # In a log file every redraw is a line.
            mininterval=0.2 if interactive else 15.0,
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch_start = time.perf_counter()
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch + 1}", refresh=False)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._bar is None:
            return
        shown = {name: f"{value:.3f}" for name, value in (logs or {}).items() if name in ("loss", "accuracy")}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(self.batch_size)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._bar is None:
            return
        seconds = time.perf_counter() - self._epoch_start
        values = "  ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        self._bar.write(f"epoch {epoch + 1:3d}  {seconds:6.1f} s  {values}", file=sys.stderr)

    def close(self) -> None:
        """Ends the bar, also after an exception, so that messages start on a line of their own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
