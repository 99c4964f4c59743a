"""Records of detection: image files, each with the objects that are annotated in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zoo.data.records import OnCorrupt


@dataclass(frozen=True, eq=False)
class DetectionRecords:
    """The records of one split: N images with M objects, as annotated.

    Attributes:
        paths: N paths of image files.
        image_ids: int64 [N], the annotation file's numbers.
        sizes: int32 [N, 2] (height, width) in pixels.
        first: int64 [N + 1]: the objects of image n are those from `first[n]` to below `first[n + 1]`.
        annotated: float64 [M, 4] (x, y, width, height) in pixels, COCO's form, as the annotation file has them.
        areas: float64 [M], square pixels, by which evaluation tells small from large.
        classes: int32 [M], indices into the class names, from 0.
        is_crowd: bool [M]: the outline is of a crowd, not of one object.
        outlines: M outlines, or None for those that have none; None for all: boxes only.
        on_corrupt: what reading does about an image file that can't be decoded: "refuse" or "skip".
    """

    paths: np.ndarray
    image_ids: np.ndarray
    sizes: np.ndarray
    first: np.ndarray
    annotated: np.ndarray
    areas: np.ndarray
    classes: np.ndarray
    is_crowd: np.ndarray
    outlines: np.ndarray | None = None
    on_corrupt: OnCorrupt = "refuse"

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def counts(self) -> np.ndarray:
        """Objects of each image, int64 [N]."""
        return np.asarray(np.diff(self.first))

    @cached_property
    def boxes(self) -> np.ndarray:
        """float32 [M, 4] (ymin, xmin, ymax, xmax), absolute pixels, cut to the image."""
        x, y, width, height = self.annotated.T
        limit_y, limit_x = np.repeat(self.sizes, self.counts, axis=0).T
        edges = [(y, limit_y), (x, limit_x), (y + height, limit_y), (x + width, limit_x)]
        return np.stack([np.clip(edge, 0, limit) for edge, limit in edges], axis=1).astype(np.float32)

    @property
    def is_ignored(self) -> np.ndarray:
        """bool [M]: neither an object to find nor background: a crowd, or, where masks are learned, without outline."""
        if self.outlines is None:
            return self.is_crowd
        is_missing = [outline is None for outline in self.outlines]
        return np.asarray(self.is_crowd | np.array(is_missing, bool))

    def take(self, indices: Sequence[int] | np.ndarray) -> "DetectionRecords":
        """The records at `indices`, in that order."""
        chosen = np.asarray(indices, np.int64)
        objects = [np.arange(self.first[index], self.first[index + 1]) for index in chosen]
        rows = np.concatenate([np.zeros(0, np.int64), *objects])
        return DetectionRecords(
            paths=self.paths[chosen],
            image_ids=self.image_ids[chosen],
            sizes=self.sizes[chosen],
            first=np.cumsum([0, *map(len, objects)]),
            annotated=self.annotated[rows],
            areas=self.areas[rows],
            classes=self.classes[rows],
            is_crowd=self.is_crowd[rows],
            outlines=None if self.outlines is None else self.outlines[rows],
            on_corrupt=self.on_corrupt,
        )

    def ground_truth(self, class_names: Sequence[str], category_ids: Sequence[int]) -> dict[str, Any]:
        """The records in COCO's form, for an evaluator: boxes and outlines as they were annotated.

        Args:
            class_names: of the classes.
            category_ids: the annotation file's number of each class.
        """
        rows = range(len(self.classes))
        image_of = np.repeat(self.image_ids, self.counts)
        annotations = [
            {
                "id": row + 1,
                "image_id": int(image_of[row]),
                "category_id": int(category_ids[self.classes[row]]),
                "bbox": self.annotated[row].tolist(),
                "area": float(self.areas[row]),
                "iscrowd": int(self.is_crowd[row]),
            }
            for row in rows
        ]
        if self.outlines is not None:
            for annotation, outline in zip(annotations, self.outlines, strict=True):
                if outline is not None:
                    annotation["segmentation"] = outline.as_coco()
        return {
            "images": [
                {"id": int(number), "height": int(height), "width": int(width)}
                for number, (height, width) in zip(self.image_ids, self.sizes, strict=True)
            ],
            "annotations": annotations,
            "categories": [
                {"id": int(number), "name": name} for number, name in zip(category_ids, class_names, strict=True)
            ],
        }
