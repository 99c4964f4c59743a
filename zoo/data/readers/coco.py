"""Reads data sets in COCO's form: JSON annotations and a folder of images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import defects
from zoo.data.defects import DefectReport
from zoo.data.detection_records import DetectionRecords
from zoo.data.image_header import ImageHeader, read_headers
from zoo.data.outlines import Outline, parse_outline
from zoo.data.readers.coco_files import find_annotations, find_images, load_annotations
from zoo.data.records import OnCorrupt
from zoo.errors import UserError

# Pixels; float32 tells less than this apart at the far edge of a large image.
_LEAST_SIDE = 0.01


@dataclass(frozen=True)
class CocoData:
    """What was read.

    Attributes:
        class_names: the name of class k is `class_names[k]`.
        category_ids: and its number in the annotation files `category_ids[k]`, ascending.
        splits: "train", "validation" and "test", those that there are.
        report: what is wrong with the data.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    splits: dict[str, DetectionRecords]
    report: DefectReport


def read(data_dir: Path, *, how_to_get: str, on_corrupt: OnCorrupt, masks: bool) -> CocoData:
    """The records of every annotation file that `find_annotations` finds.

    Defects of annotations are handled as `defects.HANDLING` says and reported. Images that are absent, that are no
    image, or whose size differs from the annotated one, are refused, or left out and reported.

    Args:
        data_dir: the data set's folder.
        how_to_get: what `data_dir` takes, for error messages.
        on_corrupt: "refuse" or "skip" such images, and those that turn out to be corrupt when they are decoded.
        masks: whether to read outlines. If no object has one, the records are without.

    Raises:
        UserError: files are missing, damaged or don't belong together, or on_corrupt="refuse" meets a bad image.
    """
    report, without_outline = DefectReport(), DefectReport()
    splits, categories = {}, {}
    for split, path in find_annotations(data_dir, how_to_get=how_to_get).items():
        content = load_annotations(path)
        categories[path] = _categories(path, content)
        folder = find_images(data_dir, path, split, [image["file_name"] for image in content["images"]])
        reading = _Reading(path, report, without_outline, on_corrupt, masks)
        splits[split] = reading.records(content, folder, list(categories[path]))
    first, *others = categories
    for other in others:
        if categories[other] != categories[first]:
            raise UserError(
                f"The annotation files must have the same categories. Received: {first} and {other}, which differ. "
                "Give both the same list, also of categories without an object."
            )
    if any(map(_has_outlines, splits.values())):
        report.found.update(without_outline.found)
    else:
        splits = {split: replace(records, outlines=None) for split, records in splits.items()}
    return CocoData(tuple(categories[first].values()), tuple(categories[first]), splits, report)


def _has_outlines(records: DetectionRecords) -> bool:
    return records.outlines is not None and any(outline is not None for outline in records.outlines)


def _categories(path: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """id -> name, in ascending order of the ids."""
    ids = [entry["id"] for entry in content["categories"]]
    twice = [number for number in ids if ids.count(number) > 1]
    if twice:
        raise UserError(
            f"Every category must have an id of its own. Received: {path}, with several of id {twice[0]}. "
            "Number them anew, in the annotations as well."
        )
    return {entry["id"]: str(entry.get("name", entry["id"])) for entry in sorted(content["categories"], key=_id)}


def _id(entry: Mapping[str, Any]) -> int:
    return int(entry["id"])


@dataclass
class _Objects:
    """The objects read so far, a list a column."""

    image: list[int] = field(default_factory=list)
    box: list[np.ndarray] = field(default_factory=list)
    area: list[float] = field(default_factory=list)
    category: list[int] = field(default_factory=list)
    is_crowd: list[bool] = field(default_factory=list)
    outline: list[Outline | None] = field(default_factory=list)


@dataclass(frozen=True)
class _Reading:
    """The reading of one annotation file; objects without an outline are noted apart."""

    path: Path
    report: DefectReport
    without_outline: DefectReport
    on_corrupt: OnCorrupt
    masks: bool

    def records(self, content: Mapping[str, Any], folder: Path, categories: list[int]) -> DetectionRecords:
        images = self._images(content["images"], folder)
        place = {image["id"]: number for number, image in enumerate(images)}
        listed = {image["id"] for image in content["images"]}
        sizes = [image["size"] for image in images]
        label = {number: index for index, number in enumerate(categories)}
        objects = _Objects()
        for entry in content["annotations"]:
            image, category = entry.get("image_id"), entry.get("category_id")
            if image not in listed:
                self._note(defects.UNKNOWN_IMAGE, entry)
            elif category not in label:
                self._note(defects.UNKNOWN_CATEGORY, entry)
            elif image in place:  # else the image was left out, and its objects with it
                self._add(objects, entry, place[image], sizes[place[image]], label[category])
        return self._in_order(images, objects)

    @property
    def file(self) -> str:
        """What the report calls the annotation file."""
        return f"{self.path.parent.name}/{self.path.name}"

    def _note(self, defect: str, entry: Mapping[str, Any]) -> None:
        report = self.without_outline if defect == defects.NO_OUTLINE else self.report
        report.add(self.file, defect, f"annotation {entry.get('id')} of image {entry.get('image_id')}")

    def _images(self, entries: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
        """Those whose file is as annotated, with "path" and "size" (height, width)."""
        once = {entry["id"]: entry for entry in reversed(entries)}
        for number in (entry["id"] for entry in entries if once[entry["id"]] is not entry):
            self.report.add(self.file, defects.LISTED_TWICE, f"image {number}")
        chosen = list(reversed(once.values()))
        paths = [str(folder / entry["file_name"]) for entry in chosen]
        headers = read_headers(paths, description=f"images of {self.path.name}")
        images, faults = [], []
        for entry, path, header in zip(chosen, paths, headers, strict=True):
            fault = _size_fault(entry, header)
            if fault is None:
                images.append({"id": entry["id"], "path": path, "size": header.size})
            else:
                faults.append(f"{path}: {fault.reason}")
                self.report.add(self.file, str(fault.defect), path)
        if faults and (self.on_corrupt == "refuse" or not images):
            raise UserError(
                f"Every image that {self.path} lists must be there, readable and of the size it says. Received: "
                f"{len(faults)} of {len(entries)} that are not: {defects.first_names(faults)}. Mend them"
                + (', or leave such images out with `on_corrupt="skip"` (`--on-corrupt skip`).' if images else ".")
            )
        return images

    def _add(
        self, objects: _Objects, entry: Mapping[str, Any], image: int, size: tuple[int, int], category: int
    ) -> None:
        box = _numbers(entry.get("bbox"))
        defect = _box_defect(box, size)
        if defect:
            self._note(defect, entry)
        if box is None or defect not in (None, defects.CUT_BOX):
            return
        is_crowd, outline = bool(entry.get("iscrowd")), None
        if self.masks:
            outline, unusable = parse_outline(entry.get("segmentation"), size)
            for _ in range(unusable):
                self._note(defects.SMALL_POLYGON, entry)
            if outline is None and not is_crowd:
                self._note(defects.NO_OUTLINE, entry)
        area = entry.get("area")
        if not isinstance(area, int | float) or not math.isfinite(area):
            area = box[2] * box[3]
        objects.image.append(image)
        objects.box.append(box)
        objects.area.append(float(area))
        objects.category.append(category)
        objects.is_crowd.append(is_crowd)
        objects.outline.append(outline)

    def _in_order(self, images: list[dict[str, Any]], objects: _Objects) -> DetectionRecords:
        order = np.argsort(np.array(objects.image, np.int64), kind="stable")
        outlines = np.empty(len(order), object)
        outlines[:] = objects.outline
        counts = np.bincount(objects.image, minlength=len(images))
        return DetectionRecords(
            paths=np.array([image["path"] for image in images], object),
            image_ids=np.array([image["id"] for image in images], np.int64),
            sizes=np.array([image["size"] for image in images], np.int32).reshape(-1, 2),
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            annotated=np.array(objects.box, np.float64).reshape(-1, 4)[order],
            areas=np.array(objects.area, np.float64)[order],
            classes=np.array(objects.category, np.int32)[order],
            is_crowd=np.array(objects.is_crowd, bool)[order],
            outlines=outlines[order] if self.masks else None,
            on_corrupt=self.on_corrupt,
        )


def _numbers(box: Any) -> np.ndarray | None:
    """The four finite numbers of a box, or None."""
    try:
        numbers = np.asarray(box, np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (4,) and np.isfinite(numbers).all() else None


def _box_defect(box: np.ndarray | None, size: tuple[int, int]) -> str | None:
    if box is None:
        return defects.NO_BOX
    x, y, width, height = box.tolist()
    visible = min(x + width, size[1]) - max(x, 0), min(y + height, size[0]) - max(y, 0)
    if min(width, height) < _LEAST_SIDE:
        return defects.EMPTY_BOX
    if min(visible) < _LEAST_SIDE:
        return defects.OUTSIDE_BOX
    is_inside = x >= 0 and y >= 0 and x + width <= size[1] and y + height <= size[0]
    return None if is_inside else defects.CUT_BOX


def _size_fault(entry: Mapping[str, Any], header: ImageHeader) -> ImageHeader | None:
    """What is wrong with the file of an image, or None."""
    if header.size is None:
        return header
    height, width = header.size
    annotated = entry.get("height") or height, entry.get("width") or width
    if annotated == header.size:
        return None
    reason = f"it is {width} x {height} pixels and annotated as {annotated[1]} x {annotated[0]}"
    return ImageHeader(None, defects.OTHER_SIZE, reason)
