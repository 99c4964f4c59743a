"""Average precision of boxes and masks as COCO defines it; pycocotools counts."""

import contextlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from zoo.errors import UserError

Kind = Literal["box", "mask"]
# COCO's twelve numbers, in the order in which pycocotools gives them.
NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_IOU_TYPE = {"box": "bbox", "mask": "segm"}


@dataclass(frozen=True)
class CocoScores:
    """How good detections are.

    Attributes:
        numbers: by kind ("box", "mask") and name (`NUMBERS`), each in [0, 1], or NaN where the ground truth has no
            object to measure it on.
        per_class: a row a category: its name, the images that show it, its objects (without crowds), and AP and AP50 of
            each kind (NaN for one without objects).
    """

    numbers: dict[Kind, dict[str, float]]
    per_class: pd.DataFrame

    def metrics(self) -> dict[str, float]:
        """The numbers in one dict, "box_AP", "box_AP50", ..., without those that are NaN, which JSON doesn't know."""
        named = {f"{kind}_{name}": value for kind, part in self.numbers.items() for name, value in part.items()}
        return {name: value for name, value in named.items() if not np.isnan(value)}


def coco_scores(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    *,
    kinds: Sequence[Kind] = ("box", "mask"),
    image_ids: Collection[int] | None = None,
) -> CocoScores:
    """COCO's twelve numbers and a table of the classes.

    AP is the mean, over categories and ten IoU thresholds from 0.50 to 0.95, of the precision at 101 recalls; AP50 and
    AP75 are at one threshold; APs, APm, APl count objects of an area below 32^2, up to 96^2 and above. ARn is the
    mean recall with the n best detections an image. Detections on crowds count neither way. Without any detection all
    are 0.

    Neither argument is changed. An object that lacks "iscrowd" is none, and one that lacks "area" has its box's. Where
    masks are scored, the area of a detection is its mask's, and an object without "segmentation" is ignored as a crowd
    that fills its box would be.

    Args:
        ground_truth: in COCO's form, with "images", "annotations" and "categories".
        results: in COCO's form: "image_id", "category_id", "score" and "bbox" [x, y, width, height] in pixels, or
            "segmentation" as run lengths, or both. Masks need "segmentation".
        kinds: what to score.
        image_ids: those to score; None: all of the ground truth.

    Raises:
        UserError: a result is of an image or a category that the ground truth doesn't have, or lacks what is scored.

    Source: https://cocodataset.org/#detection-eval; area of masks as in detectron2.

    >>> truth = {"images": [{"id": 7, "height": 9, "width": 9}], "categories": [{"id": 3, "name": "cat"}],
    ...          "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [0, 0, 4, 4]}]}
    >>> found = [{"image_id": 7, "category_id": 3, "score": 0.9, "bbox": [0, 0, 4, 3]}]
    >>> scores = coco_scores(truth, found, kinds=["box"]).numbers["box"]
    >>> round(scores["AP"], 3), round(scores["AP75"], 3), scores["APl"]  # an IoU of 0.75 passes 6 of 10 thresholds
    (0.6, 1.0, nan)
    """
    _check_results(ground_truth, results, kinds)
    table = _count_objects(ground_truth, image_ids)
    numbers: dict[Kind, dict[str, float]] = {}
    for kind in kinds:
        evaluation = _evaluate(ground_truth, results, kind, image_ids)
        values = (float(value) for value in evaluation.stats)
        numbers[kind] = {name: value if value >= 0 else np.nan for name, value in zip(NUMBERS, values, strict=True)}
        # [thresholds, recalls, categories], for all areas and 100 detections; -1 where a category has no objects.
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        precision = np.where(precision < 0, np.nan, precision)
        table[f"{kind} AP"], table[f"{kind} AP50"] = precision.mean(axis=(0, 1)), precision[0].mean(axis=0)
    return CocoScores(numbers, table.reset_index(drop=True))


def _check_results(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], kinds: Sequence[Kind]
) -> None:
    for key, part in (("image_id", "images"), ("category_id", "categories")):
        unknown = {result[key] for result in results} - {entry["id"] for entry in ground_truth[part]}
        if unknown:
            raise UserError(
                f"`results` must be of the ground truth's {part}. Received: {key} {min(unknown)}"
                f"{f' and {len(unknown) - 1} others' if len(unknown) > 1 else ''}, which it doesn't have. "
                "Score them against the annotations that they were made for."
            )
    if "mask" in kinds and not all("segmentation" in result for result in results):
        raise UserError(
            "`results` must have a segmentation each where masks are scored. Received: a result without one. "
            'Give `kinds=["box"]` to score boxes alone.'
        )


def _count_objects(ground_truth: Mapping[str, Any], image_ids: Collection[int] | None) -> pd.DataFrame:
    """category, images and objects, indexed by the id of the category in ascending order."""
    names = {category["id"]: category["name"] for category in ground_truth["categories"]}
    chosen = {image["id"] for image in ground_truth["images"]} if image_ids is None else set(image_ids)
    pairs = [
        (annotation["category_id"], annotation["image_id"])
        for annotation in ground_truth["annotations"]
        if annotation["image_id"] in chosen and not annotation.get("iscrowd")
    ]
    objects = pd.DataFrame(pairs, columns=["category_id", "image_id"]).groupby("category_id")["image_id"]
    table = pd.DataFrame({"category": names}).sort_index()
    table["images"] = objects.nunique().reindex(table.index, fill_value=0).astype(int)
    table["objects"] = objects.count().reindex(table.index, fill_value=0).astype(int)
    return table


def _evaluate(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    kind: Kind,
    image_ids: Collection[int] | None,
) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress and its table.
        truth = _index(ground_truth, [_object(annotation, kind) for annotation in ground_truth["annotations"]])
        found = _index(ground_truth, [_detection(result, kind) for result in results])
        evaluation = COCOeval(truth, found, _IOU_TYPE[kind])
        if image_ids is not None:
            evaluation.params.imgIds = sorted(image_ids)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _index(ground_truth: Mapping[str, Any], annotations: list[dict[str, Any]]) -> COCO:
    # Numbered anew: pycocotools takes the id 0 for "no match" and loses one of two equal ids.
    numbered = [{**annotation, "id": number} for number, annotation in enumerate(annotations, start=1)]
    coco = COCO()
    coco.dataset = {**ground_truth, "annotations": numbered}
    coco.createIndex()
    return coco


def _object(annotation: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    left, top, width, height = annotation["bbox"]
    complete = {"iscrowd": 0, "area": width * height, **annotation}
    if kind == "mask" and not annotation.get("segmentation"):
        right, bottom = left + width, top + height
        complete["segmentation"] = [[left, top, right, top, right, bottom, left, bottom]]
        complete["iscrowd"] = 1
    return complete


def _detection(result: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    if kind == "mask":
        area = float(rle.area(result["segmentation"]))
        return {**result, "area": area, "iscrowd": 0}
    box = result["bbox"] if "bbox" in result else rle.toBbox(result["segmentation"]).tolist()
    return {**result, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
