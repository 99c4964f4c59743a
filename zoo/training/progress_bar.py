"""One bar for the whole run: images done, time left, images a second, and a line for each epoch."""

import logging
import sys
import time
from collections.abc import Callable

import keras
from tqdm import tqdm

logger = logging.getLogger(__name__)

_SHOWN = ("loss", "accuracy", "_AP", "_AP50")


class ProgressBar(keras.callbacks.Callback):
    """Shows the run as one tqdm bar in images, with the losses and the accuracy of the epoch so far.

    Args:
        total_steps: optimizer steps of the whole run.
        step_images: images a step.
        done_steps: steps that an earlier, interrupted part of the run has made.
        shown: False where another worker shows it, and this one only logs a line for each epoch.
        report: what else there is to say at the end of an epoch, if anything.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        step_images: int,
        done_steps: int = 0,
        shown: bool = True,
        report: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.report = report
        self.total_steps = total_steps
        self.step_images = step_images
        self.done_steps = done_steps
        self.shown = shown
        self._bar: tqdm | None = None
        self._epoch_start = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._bar is not None or not self.shown:  # Keras begins anew after the rest of an epoch
            return
        interactive = sys.stderr.isatty()
        self._bar = tqdm(
            total=self.total_steps * self.step_images,
            initial=self.done_steps * self.step_images,
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
        shown = {name: f"{value:.3f}" for name, value in (logs or {}).items() if name.endswith(_SHOWN)}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(self.step_images)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seconds = time.perf_counter() - self._epoch_start
        # History has the rest, such as COCO's twelve numbers.
        shown = {name: value for name, value in (logs or {}).items() if name.endswith(_SHOWN)}
        values = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        for line in (f"epoch {epoch + 1:3d}  {seconds:6.1f} s  {values}", self.report()):
            if line is None:
                continue
            if self._bar is None:
                logger.info(line)
            else:
                self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Ends the bar, also after an exception, so that messages start on a line of their own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
