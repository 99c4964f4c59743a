"""Training: the loop, optimizer and schedules, callbacks, checkpoints, strategies."""

from zoo.training.config import TrainConfig
from zoo.training.fit import Training, fit, prepare
from zoo.training.run_folder import RunFolder

__all__ = ["RunFolder", "TrainConfig", "Training", "fit", "prepare"]
