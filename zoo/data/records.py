"""Records: images as stored, in memory or as files, each with a label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

OnCorrupt = Literal["refuse", "skip"]
ON_CORRUPT: tuple[OnCorrupt, ...] = ("refuse", "skip")


@dataclass(frozen=True, eq=False)
class Records:
    """The records of one split: `labels` and either `images` or `paths`.

    Attributes:
        labels: int32 [N], indices into the class names.
        images: uint8 [N, H, W, C], or None.
        paths: N paths of image files, or None.
        on_corrupt: what reading does about an image file that can't be decoded: "refuse" or "skip".

    >>> records = Records(labels=[0, 1, 1], images=np.zeros([3, 8, 8, 1], "uint8"))
    >>> len(records), len(records.take([2, 0])), records.take([2, 0]).labels
    (3, 2, array([1, 0], dtype=int32))
    """

    labels: np.ndarray
    images: np.ndarray | None = None
    paths: np.ndarray | None = None
    on_corrupt: OnCorrupt = "refuse"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.asarray(self.labels, "int32"))
        if (self.images is None) == (self.paths is None):
            raise ValueError("`Records` needs either `images` or `paths`, and not both.")
        if self.images is not None and (self.images.dtype != np.uint8 or self.images.ndim != 4):
            received = f"{self.images.dtype} {list(self.images.shape)}"
            raise ValueError(f"`images` must be uint8 [N, H, W, C]. Received: images={received}.")
        stored = self.images
        if stored is None:
            stored = np.asarray(self.paths, dtype=object)
            object.__setattr__(self, "paths", stored)
        if self.labels.shape != (len(stored),):
            raise ValueError(
                f"`labels` must have one entry a record, shape [{len(stored)}]. "
                f"Received: labels of shape {list(self.labels.shape)}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Records":
        """The records at `indices`, in that order."""

        def at(values: Any) -> Any:
            return None if values is None else values[np.asarray(indices, "int64")]

        return Records(at(self.labels), at(self.images), at(self.paths), self.on_corrupt)
