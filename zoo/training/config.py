"""The configuration of one training run: everything that decides its result, and nothing else."""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any, Self

from zoo.data.records import ON_CORRUPT
from zoo.errors import UserError, unknown_name
from zoo.training.duration import in_steps

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "cosine", "step")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
JIT_CHOICES = ("auto", "on", "off")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. Recipes are instances of it; the command line replaces single fields.

    A duration (`warmup`, `milestones`) is a string: `"5"` or `"5epochs"` counts epochs, fractions allowed,
    `"500steps"` counts optimizer steps, `"10%"` is a share of the run (see `zoo.training.duration.in_steps`).
    """

    model: str = "resnet50"
    norm: str = "gn"
    initial_weights: str | None = None
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    freeze: int = 0

    dataset: str = "digits"
    data_dir: str | None = None
    image_size: int | None = None
    max_objects: int | None = None
    clip: str | None = None
    clip_rate: float | None = None
    views: str | None = None
    validation_fraction: float | None = None
    augmentation: str | None = None
    on_corrupt: str = "refuse"

    batch_size: int = 32
    epochs: int = 10
    steps: int | None = None
    patience: int | None = None

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    learning_rate_batch: int | None = 256
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_norm: bool = True
    schedule: str = "cosine"
    warmup: str = "0"
    milestones: tuple[str, ...] = ()
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1
    ema: float | None = None

    strategy: str = "auto"
    precision: str = "float32"
    jit: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))  # JSON brings a list
        for name, valid in _CHOICES.items():
            if getattr(self, name) not in valid:
                raise unknown_name(name, getattr(self, name), valid)
        for name, (lowest, highest, rule) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                raise UserError(f"`{name}` must be {rule}. Received: {name}={value}.")
        in_steps(self.warmup, 1, argument="warmup")
        for milestone in self.milestones:
            in_steps(milestone, 1, argument="milestones")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The config of a run folder; a field that this version doesn't know is an error that names it."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in content:
            if name not in known:
                raise unknown_name("config field", name, known)
        try:
            return cls(**content)
        except TypeError as error:  # a value of another type doesn't compare with its range
            raise UserError(f"`config` must hold the values that train.py wrote. {error}.") from error


_CHOICES = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "strategy": STRATEGIES,
    "jit": JIT_CHOICES,
    "on_corrupt": ON_CORRUPT,
}
_LARGEST = sys.float_info.max
_TINY = 1e-12
_RANGES: dict[str, tuple[float, float, str]] = {
    "freeze": (0, 5, "from 0 (nothing) to 5 (all stages)"),
    "image_size": (1, _LARGEST, "a positive number of pixels"),
    "max_objects": (1, _LARGEST, "a positive number, or left out for as many as the image with the most has"),
    "clip_rate": (_TINY, _LARGEST, "a positive number of frames a second, or left out for each video's own"),
    "validation_fraction": (0, 0.9, "a share of the training images between 0 and 0.9"),
    "batch_size": (1, _LARGEST, "a positive number of images"),
    "epochs": (1, _LARGEST, "a positive number of passes over the training data"),
    "steps": (1, _LARGEST, "a positive number of optimizer steps"),
    "patience": (1, _LARGEST, "a positive number of epochs, or left out to train to the end"),
    "learning_rate": (_TINY, _LARGEST, "positive"),
    "learning_rate_batch": (1, _LARGEST, "a positive number of images, or left out for no scaling"),
    "momentum": (0, 1, "between 0 and 1"),
    "weight_decay": (0, _LARGEST, "zero or positive"),
    "label_smoothing": (0, 0.99, "between 0 and 0.99"),
    "clip_norm": (_TINY, _LARGEST, "positive, or left out for no clipping"),
    "seed": (0, 2**32 - 1, "between 0 and 2^32 - 1"),
    "ema": (_TINY, 1 - _TINY, "between 0 and 1, or left out for no average"),
    "accumulate": (1, _LARGEST, "a positive number of batches a step"),
}
