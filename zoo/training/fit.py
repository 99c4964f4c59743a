"""The training of one run: any task, on any strategy, from its last checkpoint on."""

import contextlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from zoo.tasks.task import Task
from zoo.training import checkpoint
from zoo.training.config import TrainConfig
from zoo.training.distribute import check_replicas, evaluation_batch_size, make_strategy, use_jit
from zoo.training.nan_guard import NanGuard
from zoo.training.optimizer import make_optimizer
from zoo.training.progress_bar import ProgressBar
from zoo.training.recorder import Recorder
from zoo.training.run_folder import RunFolder
from zoo.training.schedule import learning_rate_schedule


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


@dataclass(frozen=True)
class Training:
    """A run that is ready to start: its settings fit together, and its model is built and compiled.

    `trainer` is a twin of `model` that shares every weight and has the optimizer, so that `best.keras` is the
    plain model, which loads without this package.
    """

    config: TrainConfig
    task: Task
    model: keras.Model
    trainer: keras.Model
    batches_per_epoch: int
    total_batches: int


def prepare(config: TrainConfig, task: Task) -> Training:
    """Builds and compiles the model of `task` on the strategy of `config`.

    Raises:
        UserError: settings that don't fit together.
    """
    keras.utils.set_random_seed(config.seed)
    strategy = make_strategy(config.strategy)
    check_replicas(config, strategy)
    task.training_batches(config.batch_size, seed=config.seed, epoch=0)  # refuses a batch larger than the data
    batches_per_epoch = task.examples("train") // config.batch_size
    total_batches = config.epochs * batches_per_epoch
    if config.steps is not None:
        total_batches = config.steps * config.accumulate
    schedule = learning_rate_schedule(config, batches_per_epoch=batches_per_epoch, total_batches=total_batches)
    with strategy.scope(), _dtype_policy(config.precision):
        model = task.build_model()
        trainer = keras.Model(model.input, model.output, name=model.name)
        trainer.compile(
            optimizer=make_optimizer(config, schedule, model),
            loss=task.loss,
            metrics=task.training_metrics(),
            jit_compile=use_jit(config, strategy),
        )
        trainer.optimizer.build(trainer.trainable_variables)
    return Training(config, task, model, trainer, batches_per_epoch, total_batches)


def fit(training: Training, folder: RunFolder) -> None:
    """Trains from the folder's newest checkpoint on, or from the start where there is none.

    Leaves `history.csv`, `curves.png`, TensorBoard logs, checkpoints and `best.keras` in the folder.

    Raises:
        UserError: a checkpoint of another architecture, or a loss that is no longer finite.
    """
    config, task, trainer = training.config, training.task, training.trainer
    with trainer.distribute_strategy.scope():
        progress = checkpoint.restore_latest(folder.checkpoints, trainer)
    done_batches = progress.epoch * training.batches_per_epoch
    bar = ProgressBar(training.total_batches, batch_size=config.batch_size, done_batches=done_batches)
    validation = None
    if held_out := task.examples("validation"):
        replicas = trainer.distribute_strategy.num_replicas_in_sync
        validation = task.evaluation_batches("validation", evaluation_batch_size(held_out, config.batch_size, replicas))
    with contextlib.closing(bar), warnings.catch_warnings():
        # Training data have no end; only a validation split whose corrupt files are left out is shorter than its size.
        warnings.filterwarnings("ignore", message="Your input ran out of data", category=UserWarning)
        trainer.fit(
            task.training_batches(config.batch_size, seed=config.seed, epoch=progress.epoch),
            epochs=math.ceil(training.total_batches / training.batches_per_epoch),
            initial_epoch=progress.epoch,
            steps_per_epoch=training.batches_per_epoch,
            validation_data=validation,
            shuffle=False,  # the data comes in its order already
            verbose=0,
            callbacks=[
                bar,
                NanGuard(folder.checkpoints),
                StopAfter(training.total_batches, batches_per_epoch=training.batches_per_epoch),
                keras.callbacks.TensorBoard(str(folder.logs), write_graph=False),
                Recorder(folder, progress, training.model, watch=f"val_{task.watch}" if validation else None),
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
