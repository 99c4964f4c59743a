"""Training: the loop, optimizer and schedules, callbacks, checkpoints, strategies."""

from zoo.training.config import TrainConfig
from zoo.training.fit import fit
from zoo.training.run_folder import RunFolder

__all__ = ["RunFolder", "TrainConfig", "fit"]
