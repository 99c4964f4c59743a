"""The training of one run: any task, on any strategy, from its last checkpoint on."""

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from zoo.errors import UserError
from zoo.tasks.task import Task
from zoo.training.backend import training_backend
from zoo.training.checkpoint import Checkpoints, Progress
from zoo.training.checkpointing import Checkpointing
from zoo.training.config import TrainConfig
from zoo.training.distribute import (
    check_replicas,
    evaluation_batch_size,
    is_chief,
    make_strategy,
    worker_share,
)
from zoo.training.duration import interval_in_steps
from zoo.training.early_stopping import EarlyStopping, has_stopped_early
from zoo.training.nan_guard import NanGuard
from zoo.training.optimizer import make_optimizer
from zoo.training.preemption import PreemptedError, Preemption
from zoo.training.progress_bar import ProgressBar
from zoo.training.recorder import Recorder
from zoo.training.run_folder import RunFolder
from zoo.training.schedule import learning_rate_schedule
from zoo.training.score_validation import ScoreValidation
from zoo.training.trainer import Trainer
from zoo.training.weight_average import ValidateAverage

logger = logging.getLogger(__name__)


class StopAfter(keras.callbacks.Callback):
    """Ends training after so many more optimizer steps, counted over all epochs."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps_left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.steps_left -= 1
        if self.steps_left <= 0:
            self.model.stop_training = True


@dataclass(frozen=True)
class Training:
    """A run that is ready to start: its settings fit together, and its model is built and compiled.

    `trainer` has the optimizer and shares every weight of `model`, so that `best.keras` is the plain model, which
    loads without this package. A step takes `step_images` images, of all replicas and of all
    batches that are accumulated.
    """

    config: TrainConfig
    task: Task
    model: keras.Model
    trainer: Trainer
    step_images: int
    steps_per_epoch: int
    total_steps: int


def prepare(config: TrainConfig, task: Task) -> Training:
    """Builds and compiles the model of `task` on the strategy of `config`.

    Raises:
        UserError: settings that don't fit together.
    """
    backend = training_backend()
    strategy = make_strategy(config.strategy)
    keras.utils.set_random_seed(config.seed)
    check_replicas(config, strategy)
    step_images = config.batch_size * config.accumulate
    if step_images > task.examples("train"):
        raise UserError(
            f"`batch_size` times `accumulate` must be at most the {task.examples('train')} training examples. "
            f"Received: batch_size={config.batch_size}, accumulate={config.accumulate}. Choose a smaller one."
        )
    if config.patience is not None and not task.examples("validation"):
        raise UserError(
            f"`patience` needs a validation split. Received: patience={config.patience} for data without one. Set "
            "--validation-fraction, or leave --patience out."
        )
    steps_per_epoch = task.examples("train") // step_images
    total_steps = config.steps or config.epochs * steps_per_epoch
    schedule = learning_rate_schedule(config, steps_per_epoch=steps_per_epoch, total_steps=total_steps)
    with strategy.scope(), _dtype_policy(config.precision):
        model = task.build_model()
        trainer = backend.TRAINER(model, accumulate=config.accumulate)
        trainer.compile(
            optimizer=make_optimizer(config, schedule, model),
            loss=task.loss,
            weighted_metrics=task.training_metrics(),  # what only fills a batch up has no weight
            jit_compile=backend.use_jit(config, strategy),
        )
        trainer.optimizer.build(trainer.trainable_variables)
    return Training(config, task, model, trainer, step_images, steps_per_epoch, total_steps)


def fit(training: Training, folder: RunFolder, *, checkpoint_every: str = "1epoch") -> None:
    """Trains from the folder's newest checkpoint on, or from the start where there is none.

    Leaves `history.csv`, `curves.png`, TensorBoard logs, checkpoints and `best.keras` in the folder; of several
    workers, the chief does.

    Args:
        training: the run.
        folder: where to write.
        checkpoint_every: a duration, in epochs or steps. The end of an epoch always leaves a checkpoint.

    Raises:
        UserError: a checkpoint of another architecture, or a loss that is no longer finite.
        PreemptedError: a SIGTERM or Ctrl-C came; the newest checkpoint is that of the last step.
    """
    trainer, total_steps = training.trainer, training.total_steps
    every = interval_in_steps(
        checkpoint_every, training.steps_per_epoch, total_steps=total_steps, argument="checkpoint_every"
    )
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder.checkpoints, trainer)))
        with trainer.distribute_strategy.scope():
            progress = checkpoints.restore()
        if progress.step:
            logger.info("goes on after step %d", progress.step)
        if is_complete(training, progress):
            logger.info("the training was complete already; what follows it is done again")
        preemption = stack.enter_context(Preemption())
        callbacks = _callbacks(training, folder, checkpoints, progress)
        bar = next(callback for callback in callbacks if isinstance(callback, ProgressBar))
        stack.enter_context(contextlib.closing(bar))
        callbacks.append(
            Checkpointing(
                checkpoints,
                progress,
                preemption,
                steps_per_epoch=training.steps_per_epoch,
                total_steps=training.total_steps,
                every=every,
            )
        )
        # Training data have no end; only a validation split whose corrupt files are left out is shorter than its size.
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="Your input ran out of data", category=UserWarning)
        if progress.batch:  # the rest of an epoch, which Keras takes for a shorter one
            _fit_epochs(training, progress, callbacks, last_epoch=progress.epoch + 1)
        _fit_epochs(
            training, progress, callbacks, last_epoch=math.ceil(training.total_steps / training.steps_per_epoch)
        )
        checkpoints.wait()  # still safe from a SIGTERM
        if preemption.requested:
            raise PreemptedError(by_user=preemption.by_user)


def is_complete(training: Training, progress: Progress) -> bool:
    """Whether all steps are done, or the run stopped early."""
    return progress.step >= training.total_steps or has_stopped_early(progress, training.config.patience)


def _fit_epochs(
    training: Training, progress: Progress, callbacks: list[keras.callbacks.Callback], *, last_epoch: int
) -> None:
    if progress.epoch >= last_epoch or is_complete(training, progress):
        return
    training.trainer.fit(
        _training_data(training, progress),
        epochs=last_epoch,
        initial_epoch=progress.epoch,
        steps_per_epoch=training.steps_per_epoch - progress.batch,
        validation_data=_validation_data(training),
        shuffle=False,  # the data comes in its order already
        verbose=0,
        callbacks=callbacks,
    )


def _training_data(training: Training, progress: Progress) -> Any:
    """What comes next; each worker reads its share only."""
    strategy = training.trainer.distribute_strategy
    share = worker_share(strategy)
    batches = training.task.training_batches(
        training.step_images, seed=training.config.seed, epoch=progress.epoch, skip=progress.batch, share=share
    )
    if share[1] == 1:
        return batches
    of_replica = training.step_images // strategy.num_replicas_in_sync
    return strategy.distribute_datasets_from_function(lambda _: batches.rebatch(of_replica))


def _validation_data(training: Training) -> tf.data.Dataset | None:
    held_out = training.task.examples("validation")
    if not held_out or training.task.scored_whole:
        return None
    replicas = training.trainer.distribute_strategy.num_replicas_in_sync
    size = evaluation_batch_size(held_out, training.config.batch_size, replicas)
    return training.task.validation_batches(size)


def _callbacks(
    training: Training, folder: RunFolder, checkpoints: Checkpoints, progress: Progress
) -> list[keras.callbacks.Callback]:
    """All but the one that ends the run early, which comes last."""
    chief = is_chief(training.trainer.distribute_strategy)
    task, held_out, patience = training.task, training.task.examples("validation"), training.config.patience
    scores = [ScoreValidation(task, training.model, batch_size=training.config.batch_size)]
    return [
        *(scores if held_out and task.scored_whole else []),
        ProgressBar(
            training.total_steps,
            step_images=training.step_images,
            done_steps=progress.step,
            shown=chief,
            report=task.input_report,
        ),
        NanGuard(folder.checkpoints),
        StopAfter(training.total_steps - progress.step),
        *([keras.callbacks.TensorBoard(str(folder.logs), write_graph=False)] if chief else []),
        *([ValidateAverage()] if training.config.ema else []),
        Recorder(folder, checkpoints, progress, training.model, watch=task.watch, held_out=bool(held_out)),
        *([EarlyStopping(progress, patience=patience, watch=task.watch)] if patience else []),
    ]


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Keras' global dtype policy, put back afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
