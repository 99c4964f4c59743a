"""Loads a detection data set by name."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.defects import DefectReport
from zoo.data.detection_catalog import DetectionSpec, get_detection_spec
from zoo.data.detection_records import DetectionRecords
from zoo.data.loading import checked_fraction, find_folder
from zoo.data.readers import coco
from zoo.data.records import OnCorrupt

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DetectionDataset:
    """A detection data set that was found.

    Attributes:
        spec: how its images are prepared.
        class_names: the name of class k is `class_names[k]`.
        category_ids: and its number in the annotation files `category_ids[k]`.
        splits: "train", "validation" and "test", those that have records.
        report: what is wrong with the data, and what was done about it.
    """

    spec: DetectionSpec
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    splits: Mapping[str, DetectionRecords]
    report: DefectReport = field(default_factory=DefectReport)

    @property
    def has_masks(self) -> bool:
        """Whether there are outlines: in the training split, to learn masks from, or where there is none, in any."""
        splits = [self.splits["train"]] if "train" in self.splits else self.splits.values()
        return any(records.outlines is not None for records in splits)

    def ground_truth(self, split: str) -> dict[str, Any]:
        """A split in COCO's form, for an evaluator."""
        return self.splits[split].ground_truth(self.class_names, self.category_ids)


def load_detection(
    name: str = "coco",
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    validation_fraction: float | None = None,
    on_corrupt: OnCorrupt = "refuse",
    masks: bool = True,
) -> DetectionDataset:
    """Finds the detection data set `name` and its records; images stay in their files. Defects are logged.

    Args:
        name: a name in `DETECTION_CATALOG`.
        data_dir: where its files are, in one of the forms of docs/detection.md.
        seed: which training images become the validation split.
        validation_fraction: part of the training images that becomes the validation split, where there is no annotation
            file for one; the catalog's by default, and no split if 0.
        on_corrupt: what to do about an image that is absent, can't be decoded or isn't of the size that was annotated:
            "refuse" with an error that names it, or "skip".
        masks: whether to read outlines; False: boxes only.

    Raises:
        UserError: an argument is wrong, or the data are missing, damaged or not of a form that is known.
    """
    spec = get_detection_spec(name)
    fraction = checked_fraction(spec, validation_fraction, on_corrupt=on_corrupt)
    folder = find_folder(spec, data_dir)
    found = coco.read(folder, how_to_get=spec.how_to_get, on_corrupt=on_corrupt, masks=masks)
    if found.report.found:
        _LOG.warning("Defects of the data in %s:\n%s", data_dir, found.report)
    splits = found.splits
    if fraction and "train" in splits and "validation" not in splits:
        train, validation = split_images(splits["train"], fraction, seed=seed)
        splits = {**splits, "train": train, "validation": validation}
    order = [split for split in ("train", "validation", "test") if len(splits.get(split, ()))]
    return DetectionDataset(
        spec, found.class_names, found.category_ids, {split: splits[split] for split in order}, found.report
    )


def split_images(records: DetectionRecords, fraction: float, *, seed: int) -> tuple[DetectionRecords, DetectionRecords]:
    """Takes max(1, round(fraction N)) of the N images out of `records`, but never the last one, at random.

    Both parts keep the order of `records`.

    Args:
        records: what to divide.
        fraction: in (0, 1).
        seed: which are taken; the same seed takes the same ones.

    Returns:
        (the rest, the part taken)
    """
    count = min(max(1, round(fraction * len(records))), len(records) - 1)
    taken = np.zeros(len(records), bool)
    taken[np.random.default_rng(seed).permutation(len(records))[:count]] = True
    return records.take(np.flatnonzero(~taken)), records.take(np.flatnonzero(taken))
