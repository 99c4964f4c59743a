"""The training of one run: any task, on any strategy, from its last checkpoint on."""

import contextlib
import logging
import math
from collections.abc import Iterator

import keras

from zoo.tasks.task import Task
from zoo.training import checkpoint
from zoo.training.config import TrainConfig
from zoo.training.distribute import check_batch, make_strategy, use_jit
from zoo.training.nan_guard import NanGuard
from zoo.training.optimizer import make_optimizer
from zoo.training.progress_bar import ProgressBar
from zoo.training.recorder import Recorder
from zoo.training.run_folder import RunFolder, require_space
from zoo.training.schedule import learning_rate_schedule

logger = logging.getLogger(__name__)


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of batches, counted over all epochs."""

    def __init__(self, total_batches: int, *, batches_per_epoch: int) -> None:
        super().__init__()
        self.total_batches = total_batches
        self.batches_per_epoch = batches_per_epoch
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._epoch * self.batches_per_epoch + batch + 1 >= self.total_batches:
            self.model.stop_training = True


def fit(config: TrainConfig, task: Task, folder: RunFolder) -> None:
    """Trains as `config` says, from the folder's newest checkpoint where there is one.

    Leaves `history.csv`, `curves.png`, TensorBoard logs, checkpoints and `best.keras` in the folder.

    Raises:
        UserError: settings that don't fit together, a checkpoint of another architecture, a full disk
            ahead, or a loss that is no longer finite.
    """
    keras.utils.set_random_seed(config.seed)
    strategy = make_strategy(config.strategy)
    check_batch(config.batch_size, strategy)
    batches_per_epoch = task.batches_per_epoch(config.batch_size)
    total_batches = config.epochs * batches_per_epoch
    if config.steps is not None:
        total_batches = config.steps * config.accumulate
    epochs = math.ceil(total_batches / batches_per_epoch)

    with strategy.scope(), _dtype_policy(config.precision):
        model = task.build_model()
        # The optimizer belongs to a twin that shares every weight, so that `best.keras` is the plain model,
        # which loads without this package.
        trainer = keras.Model(model.input, model.output, name=model.name)
        schedule = learning_rate_schedule(config, batches_per_epoch=batches_per_epoch, total_batches=total_batches)
        optimizer = make_optimizer(config, schedule, model)
        trainer.compile(
            optimizer=optimizer,
            loss=task.loss,
            metrics=task.training_metrics(),
            jit_compile=use_jit(config, strategy),
        )
        trainer.optimizer.build(trainer.trainable_variables)
        require_space(folder, model.count_params())
        progress = checkpoint.restore_latest(folder.checkpoints, trainer)

    bar = ProgressBar(total_batches, batch_size=config.batch_size, done_batches=progress.epoch * batches_per_epoch)
    has_validation = task.has_split("validation")
    watch = f"val_{task.watch}" if has_validation else None
    with contextlib.closing(bar):
        trainer.fit(
            task.training_batches(config.batch_size, seed=config.seed, epoch=progress.epoch),
            epochs=epochs,
            initial_epoch=progress.epoch,
            steps_per_epoch=batches_per_epoch,
            validation_data=task.evaluation_batches("validation", config.batch_size) if has_validation else None,
            shuffle=False,  # the data comes in its order already
            verbose=0,
            callbacks=[
                bar,
                NanGuard(folder.checkpoints),
                StopAfter(total_batches, batches_per_epoch=batches_per_epoch),
                keras.callbacks.TensorBoard(str(folder.logs), write_graph=False),
                Recorder(folder, progress, model, watch=watch),
            ],
        )


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Keras' global dtype policy, put back afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
