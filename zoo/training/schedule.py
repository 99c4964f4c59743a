"""Learning-rate schedules."""

import logging

import keras
from keras import ops

from zoo.errors import UserError
from zoo.training.config import TrainConfig
from zoo.training.duration import in_steps

logger = logging.getLogger(__name__)


def peak_learning_rate(config: TrainConfig) -> float:
    """`learning_rate * effective batch / learning_rate_batch`: the linear scaling rule (1706.02677, section 2.1).

    Without `learning_rate_batch` the learning rate is taken as it is.

    >>> peak_learning_rate(TrainConfig(learning_rate=0.1, learning_rate_batch=256, batch_size=64))
    0.025
    """
    if config.learning_rate_batch is None:
        return config.learning_rate
    return config.learning_rate * config.batch_size * config.accumulate / config.learning_rate_batch


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up: `after(step) * min(1, (step + 1) / steps)` (1706.02677, section 2.2).

    Args:
        after: the schedule, or the constant rate, that is warmed up to.
        steps: length of the warm-up.
    """

    def __init__(self, after: keras.optimizers.schedules.LearningRateSchedule | float, *, steps: int) -> None:
        self.after = after
        self.steps = steps

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        share = (ops.cast(step, "float32") + 1.0) / max(self.steps, 1)
        after = self.after(step) if callable(self.after) else self.after
        return after * ops.minimum(share, 1.0)

    def get_config(self) -> dict[str, object]:
        return {"after": keras.saving.serialize_keras_object(self.after), "steps": self.steps}


def learning_rate_schedule(
    config: TrainConfig, *, steps_per_epoch: float, total_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate by optimizer step.

    - `cosine`: `peak * (1 + cos(pi * step / total_steps)) / 2` (1608.03983)
    - `step`: the peak, divided by 10 at every milestone (without milestones at 30, 60 and 90 % of the run)
    - `constant`: the peak

    each times the linear warm-up.
    """

    def steps(duration: str, argument: str) -> int:
        return in_steps(duration, steps_per_epoch, total_steps=total_steps, argument=argument)

    after: keras.optimizers.schedules.LearningRateSchedule | float = peak_learning_rate(config)
    if config.schedule == "cosine":
        after = keras.optimizers.schedules.CosineDecay(after, decay_steps=total_steps)
    elif config.schedule == "step":
        boundaries = [steps(milestone, "milestones") for milestone in config.milestones]
        boundaries = boundaries or [round(total_steps * share) for share in (0.3, 0.6, 0.9)]
        if boundaries != sorted(boundaries):
            raise UserError(f"`milestones` must rise. Received: milestones={config.milestones}.")
        if boundaries[-1] >= total_steps:
            logger.warning(
                "the learning rate is never divided by its last milestone, %s: the run ends after %d steps, before it",
                config.milestones[-1],
                total_steps,
            )
        values = [after * 0.1**drops for drops in range(len(boundaries) + 1)]
        after = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    return Warmup(after, steps=steps(config.warmup, "warmup"))
