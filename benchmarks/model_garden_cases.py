"""What benchmarks/model_garden.py measures, and the images that both sides see. NumPy only: both sides load it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

CLASSES = 90  # of objects; COCO's category ids, as both projects' recipes have them
SLOTS = 100  # for the objects of an image
MASK_SIDE = 112  # cells of an object's bitmap
WEIGHT_DECAY = 4e-5
OBJECTS = 8


@dataclass(frozen=True)
class Case:
    """What is timed: a forward pass to boxes and masks, or a training step."""

    work: Literal["inference", "training"]
    batch_size: int

    @property
    def label(self) -> str:
        return f"{self.work}, {'1 image' if self.batch_size == 1 else f'{self.batch_size} images'}"


@dataclass(frozen=True)
class Scale:
    """How much a run measures.

    Args:
        image_size: pixels a side.
        rounds: samples of each side.
        cases: each with two processes of its own.
        model: ours, a name of the zoo.
        options: of `zoo.build`, beside the norm.
    """

    image_size: int
    rounds: int
    cases: tuple[Case, ...]
    model: str = "mask_rcnn_resnet50_fpn"
    options: Mapping[str, Any] = field(default_factory=dict)


CASES = tuple(Case(work, batch_size) for work in ("inference", "training") for batch_size in (1, 2))
FULL = Scale(image_size=512, rounds=7, cases=CASES)


def scene(*, batch_size: int, image_size: int) -> dict[str, np.ndarray]:
    """A batch of noise with `OBJECTS` objects an image, and padding: the same for the same arguments.

    Returns:
        image [B, H, W, 3] float32; boxes [B, SLOTS, 4] (ymin, xmin, ymax, xmax), absolute pixels, float32; classes
        [B, SLOTS] int32 from 0 on, -1 in padding; masks [B, SLOTS, MASK_SIDE, MASK_SIDE] uint8, over each box.
    """
    random = np.random.default_rng(0)
    boxes = np.zeros((batch_size, SLOTS, 4), "float32")
    classes = np.full((batch_size, SLOTS), -1, "int32")
    masks = np.zeros((batch_size, SLOTS, MASK_SIDE, MASK_SIDE), "uint8")
    side = random.uniform(1 / 16, 1 / 4, (batch_size, OBJECTS, 2))
    corner = random.uniform(0, 1 - side)
    boxes[:, :OBJECTS] = image_size * np.concatenate([corner, corner + side], axis=-1)
    classes[:, :OBJECTS] = random.integers(CLASSES, size=(batch_size, OBJECTS))
    masks[:, :OBJECTS] = random.integers(2, size=(batch_size, OBJECTS, MASK_SIDE, MASK_SIDE))
    image = random.standard_normal((batch_size, image_size, image_size, 3), dtype="float32")
    return {"image": image, "boxes": boxes, "classes": classes, "masks": masks}
