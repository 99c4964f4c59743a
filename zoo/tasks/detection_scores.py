"""From a detector's outputs to COCO results, scores and a gallery."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.data import DetectionDataset
from zoo.data.detection_ops import to_original
from zoo.data.image_ops import decode
from zoo.metrics import Picture, coco_results, coco_scores, draw_gallery
from zoo.metrics.coco_ap import Kind
from zoo.models.mask_rcnn.paste import paste_masks
from zoo.tasks.task import Evaluation

MASK_FROM = 0.5  # probability from which a pixel is the object's (Mask R-CNN, section 3.1)
SHOWN_IMAGES = 9
SHOWN_FROM = 0.5  # least score of what the gallery shows
Found = dict[str, np.ndarray]


def score_detections(
    dataset: DetectionDataset, split: str, results: Iterable[tuple[Found, Found]], *, kinds: Sequence[Kind]
) -> Evaluation:
    """COCO's numbers, the table of the classes, the results as COCO's JSON, and a picture of the first images.

    Args:
        dataset: what was to be found.
        split: of it.
        results: batches of (labels, detections). Labels have "image_id" [B] and "original_size" [B, 2]. With "scale"
            [B, 2] the boxes are in pixels of the resized image and masks fill their boxes, as a model puts them
            out; without, both are in pixels of the original image, as a SavedModel returns them.
        kinds: "box", "mask" or both.
    """
    entries, pictures, seen = [], [], []
    paths = dict(zip(dataset.splits[split].image_ids.tolist(), dataset.splits[split].paths, strict=True))
    for image_id, found in _images(results, masks="mask" in kinds):
        entries.extend(coco_results(image_id, category_ids=dataset.category_ids, **found))
        if len(pictures) < SHOWN_IMAGES:
            pictures.append(_picture(paths[image_id], found, dataset.class_names))
        seen.append(image_id)
    scores = coco_scores(dataset.ground_truth(split), entries, kinds=kinds, image_ids=seen)
    return Evaluation(
        metrics={**scores.metrics(), "examples": len(seen)},
        tables={"per_class": scores.per_class},
        pictures={"gallery": draw_gallery(pictures)} if pictures else {},
        files={"coco_results": entries},
    )


def _images(results: Iterable[tuple[Found, Found]], *, masks: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """For each image its number, and its detections in pixels of the original image."""
    for labels, found in results:
        boxes = found["boxes"]
        is_resized = "scale" in labels
        if is_resized:
            boxes = to_original(boxes, scale=labels["scale"], size=labels["original_size"]).numpy()
        for row, count in enumerate(found["num_detections"]):
            one = {"boxes": boxes[row, :count], **{key: found[key][row, :count] for key in ("scores", "classes")}}
            if masks:
                height, width = (int(side) for side in labels["original_size"][row])
                cells = found["masks"][row, :count]
                pasted = _pasted(cells, one["boxes"], (height, width)) if is_resized else cells[:, :height, :width]
                one["masks"] = pasted.astype(bool, copy=False)
            yield int(labels["image_id"][row]), one


def _pasted(masks: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool [N, height, width], one after the other: as numbers all of a photograph's would take gigabytes."""
    pasted = np.empty((len(masks), *size), bool)
    for row, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
        pasted[row] = np.asarray(paste_masks(mask, box, size=size)) >= MASK_FROM
    return pasted


def _picture(path: str, found: dict[str, Any], class_names: Sequence[str]) -> Picture:
    shown = found["scores"] >= SHOWN_FROM
    return Picture(
        image=decode(tf.io.read_file(path)).numpy(),
        boxes=found["boxes"][shown],
        labels=[class_names[number] for number in found["classes"][shown]],
        scores=found["scores"][shown],
        masks=found["masks"][shown] if "masks" in found else None,
        title=Path(path).name,
    )
