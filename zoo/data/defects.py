"""Defects of a data set: counted, named, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

# Of image files; a data set that has any is refused, unless such images are to be skipped.
ABSENT_FILE = "image file that is absent"
UNREADABLE_FILE = "image file that can't be read"
OTHER_SIZE = "image of another size than annotated"
# Of annotations.
LISTED_TWICE = "image that is listed twice"
UNKNOWN_IMAGE = "object of an image that isn't listed"
UNKNOWN_CATEGORY = "object of a category that isn't listed"
NO_BOX = "box that isn't four finite numbers"
EMPTY_BOX = "box without area"
OUTSIDE_BOX = "box outside of its image"
CUT_BOX = "box partly outside of its image"
SMALL_POLYGON = "polygon without three points"
NO_OUTLINE = "object without an outline"
# Of lists of clips.
ABSENT_CLIP = "clip whose file is absent"
CLIP_LISTED_TWICE = "clip that is listed twice"
CLIPS_OF_A_WHOLE_VIDEO = "clip of a video that isn't cut, of which several are listed"
NO_LABEL = "clip without a label"
NO_TIMES = "clip whose times are no numbers"

HANDLING = {
    ABSENT_FILE: "image left out",
    UNREADABLE_FILE: "image left out",
    OTHER_SIZE: "image left out",
    LISTED_TWICE: "the second left out",
    UNKNOWN_IMAGE: "object left out",
    UNKNOWN_CATEGORY: "object left out",
    NO_BOX: "object left out",
    EMPTY_BOX: "object left out",
    OUTSIDE_BOX: "object left out",
    CUT_BOX: "cut to the image for training",
    SMALL_POLYGON: "polygon left out",
    NO_OUTLINE: "like a crowd where masks are learned",
    ABSENT_CLIP: "clip left out",
    CLIP_LISTED_TWICE: "the second left out",
    CLIPS_OF_A_WHOLE_VIDEO: "clip left out",
    NO_LABEL: "clip left out",
    NO_TIMES: "clip left out",
}


@dataclass(frozen=True)
class DefectReport:
    """What is wrong in a data set, and what was done about it.

    Attributes:
        found: (annotation file, defect) -> the names of what has it, in the order of the file.

    >>> report = DefectReport()
    >>> report.add("train.json", EMPTY_BOX, "annotation 7 of image 3")
    >>> report.count(EMPTY_BOX), report.count(CUT_BOX)
    (1, 0)
    """

    found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, file: str, defect: str, name: str) -> None:
        """Notes that `name` in the annotation file `file` has `defect`, a key of `HANDLING`."""
        self.found.setdefault((file, defect), []).append(name)

    def names(self, defect: str) -> list[str]:
        """All that has `defect`, of every file."""
        return [name for (_, kind), names in self.found.items() if kind == defect for name in names]

    def count(self, defect: str) -> int:
        """How often `defect` was found."""
        return len(self.names(defect))

    def table(self) -> pd.DataFrame:
        """A row for each file and defect: file, defect, count, handling, examples."""
        rows = [
            (file, defect, len(names), HANDLING[defect], first_names(names))
            for (file, defect), names in self.found.items()
        ]
        return pd.DataFrame(rows, columns=["file", "defect", "count", "handling", "examples"])

    def __str__(self) -> str:
        return self.table().to_string(index=False, max_colwidth=None) if self.found else "no defects"


def first_names(names: Sequence[str]) -> str:
    """The first three of `names`, and how many more there are.

    >>> first_names(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
