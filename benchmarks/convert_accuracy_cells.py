"""Measures what accuracy a model keeps in every cell of the table of benchmarks/convert_accuracy.py."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from convert_models import ALL_RECIPES, accuracy
from convert_models_data import Augmented

from keras_gn.convert import convert_bn_to_gn, distill
from zoo.errors import UserError

GROUPINGS: dict[str, dict[str, Any]] = {
    "auto": {"groups": "auto"},
    "16 channels a group": {"channels_per_group": 16},
    "groups=32": {"groups": 32},
    "groups=8": {"groups": 8},
    "groups=1": {"groups": 1},
}
_BATCH_SIZE, _LEARNING_RATE = 32, 3e-4  # of distillation
MODES = ("copy", "reset", "statistics", "calibrated", "distilled")


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Args:
        images: Unlabelled training images for calibration and distillation.
        calibration_views: How many views of them, moved as in the training, calibration sees.
        steps: Of distillation, each with a batch of views.
        test_images: The first ones of the test set, or all of it.
    """

    images: int = 500
    calibration_views: int = 1000
    steps: int = 200
    test_images: int | None = None


FULL, QUICK = Scale(), Scale(images=40, calibration_views=80, steps=2, test_images=100)


@dataclass(frozen=True)
class Cell:
    """An accuracy that was measured.

    Args:
        model: Its name.
        grouping: A key of `GROUPINGS`; None for the model with batch normalization itself.
        mode: One of `MODES`, likewise.
        fingerprint: Of the model's file and of the scale.
        accuracy: On the test images.
    """

    model: str
    grouping: str | None
    mode: str | None
    fingerprint: str
    accuracy: float

    @property
    def key(self) -> tuple[str | None, ...]:
        return (self.model, self.grouping, self.mode, self.fingerprint)


Cells = dict[tuple[str | None, ...], Cell]


class Subject:
    """A trained model and its data, which are read when the first cell needs them."""

    def __init__(self, name: str, path: Path, *, data_dir: Path | None, scale: Scale) -> None:
        self.name, self.path, self.data_dir, self.scale = name, path, data_dir, scale
        self._calibrated: tuple[dict[str, Any], keras.Model] | None = None  # the last one, which takes long
        self.fingerprint = hashlib.sha256(path.read_bytes() + repr(scale).encode()).hexdigest()[:16]

    @cached_property
    def teacher(self) -> keras.Model:
        return keras.models.load_model(self.path, compile=False)

    @cached_property
    def images(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The unlabelled images, drawn from the training set as they are, and images and labels of the test set."""
        recipe = ALL_RECIPES[self.name]
        train, _, images, labels = recipe.split(self.data_dir)
        drawn = np.random.default_rng(0).choice(len(train), self.scale.images, replace=False)
        return train[drawn], images[: self.scale.test_images], labels[: self.scale.test_images]

    def cells(self, known: Cells) -> list[Cell]:
        """Those of the known ones that are its own."""
        return [cell for cell in known.values() if cell.fingerprint == self.fingerprint]

    def missing(
        self, known: Cells, groupings: Sequence[str], modes: Sequence[str]
    ) -> list[tuple[str | None, str | None]]:
        """The (grouping, mode) of these that aren't among the known ones, and the model as it is."""
        cells = [(None, None), *((grouping, mode) for grouping in groupings for mode in modes)]
        return [cell for cell in cells if (self.name, *cell, self.fingerprint) not in known]

    def measure(self, grouping: str | None, mode: str | None) -> Cell:
        """Converts the model as the cell says, and tests it."""
        model = self.teacher if grouping is None or mode is None else self._converted(GROUPINGS[grouping], mode)
        model.jit_compile = False
        return Cell(self.name, grouping, mode, self.fingerprint, accuracy(model, *self.images[1:]))

    def _converted(self, grouping: dict[str, Any], mode: str) -> keras.Model:
        if mode not in ("calibrated", "distilled"):
            return convert_bn_to_gn(self.teacher, weights=mode, **grouping)
        if self._calibrated is None or self._calibrated[0] != grouping:
            student = convert_bn_to_gn(
                self.teacher, calibration_data=self._views(self.scale.calibration_views), **grouping
            )
            self._calibrated = grouping, student
        student = self._calibrated[1]
        if mode == "distilled":
            self._calibrated = None  # it is changed now
            keras.utils.set_random_seed(0)
            views = self._views(self.scale.steps * _BATCH_SIZE)
            distill(
                self.teacher,
                student,
                views,
                steps=self.scale.steps,
                batch_size=_BATCH_SIZE,
                learning_rate=_LEARNING_RATE,
            )
        return student

    def _views(self, count: int) -> np.ndarray:
        """The unlabelled images again and again, each time moved and mirrored as in the model's training."""
        recipe, images = ALL_RECIPES[self.name], self.images[0]
        unknown = np.zeros(len(images), "int32")
        shown = Augmented(
            images,
            unknown,
            batch_size=len(images),
            shift=recipe.shift,
            flip=recipe.flip,
            prepare=recipe.prepared,
            seed=1,
        )
        passes = [shown[0][0] for _ in range(-(-count // len(images)))]
        return np.concatenate(passes)[:count]


def read_cells(path: Path | None) -> Cells:
    """The cells that an earlier run left in its JSON file, if there is one, by their keys.

    Raises:
        UserError: The file is something else.
    """
    if path is None or not path.exists():
        return {}
    try:
        cells = [Cell(**cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"`--json` must be a file of this command, or a new one. Received: {path}.") from error
    return {cell.key: cell for cell in cells}
