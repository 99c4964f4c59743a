"""When a run writes checkpoints within an epoch, and when it ends early with one."""

import keras

from zoo.training.agreement import Agreement
from zoo.training.backend import training_backend
from zoo.training.checkpoint import Checkpoints, Progress
from zoo.training.preemption import PreemptedError, Preemption


class Checkpointing(keras.callbacks.Callback):
    """Counts the batches in `progress`, saves every so many, and ends the run with a checkpoint when it is asked to.

    The end of an epoch is the `Recorder`'s, which must come before.

    Args:
        checkpoints: where to save.
        progress: the state of the run, updated in place.
        preemption: says whether the run is to end; that of one worker ends all, after the same step, about a second
            later (see `Agreement`).
        steps_per_epoch: batches an epoch.
        total_steps: batches of the whole run.
        every: batches between two checkpoints.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        progress: Progress,
        preemption: Preemption,
        *,
        steps_per_epoch: int,
        total_steps: int,
        every: int,
    ) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self.progress = progress
        self.preemption = preemption
        self.agreement = Agreement(checkpoints.trainer.distribute_strategy, preemption)
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = total_steps
        self.every = every

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.checkpoints.restore_metrics()  # Keras has just reset them

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.progress.step += 1
        self.progress.batch += 1
        step = self.progress.step
        if self.progress.batch == self.steps_per_epoch or step == self.total_steps:
            training_backend().synchronize(self.checkpoints.trainer)  # the validation comes before the next checkpoint
            return  # the epoch ends now
        self.checkpoints.raise_if_failed()
        preempted = self.agreement.ends_after_step()
        if preempted or step % self.every == 0:
            self.checkpoints.save(self.progress)
        if preempted:
            self._end()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.agreement.ends_now():
            self._end()

    def _end(self) -> None:
        self.checkpoints.wait()
        # No worker ends before the checkpoint is written: the end of one ends the others.
        self.agreement.wait_for_all()
        raise PreemptedError(by_user=self.preemption.by_user)
