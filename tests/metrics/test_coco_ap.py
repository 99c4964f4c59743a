"""COCO's numbers: the published ones, cases that can be counted by hand, and what pycocotools alone gets wrong."""

import copy
import json

import numpy as np
import pytest
from pycocotools import mask as rle

from zoo.errors import UserError
from zoo.metrics.coco_ap import NUMBERS, coco_scores
from zoo.metrics.coco_results import encode_mask

SIDE = 200
ONE = pytest.approx(1)  # pycocotools adds the smallest number there is to its denominators.


def truth(*boxes, images=(1, 2, 3), **fields):
    """Objects (image, category, [x, y, w, h]) with a mask that fills the box, ids from 0."""
    return {
        "images": [{"id": image, "height": SIDE, "width": SIDE} for image in images],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 0, "image_id": image, "category_id": category, "bbox": box, "segmentation": [rectangle(box)]}
            | fields
            for image, category, box in boxes
        ],
    }


def found(*rows):
    """Detections (image, category, score, [x, y, w, h]) with a mask that fills the box."""
    return [
        {"image_id": image, "category_id": category, "score": score, "bbox": box, "segmentation": filled(box)}
        for image, category, score, box in rows
    ]


def rectangle(box):
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def filled(box):
    mask = np.zeros([SIDE, SIDE], bool)
    mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
    return encode_mask(mask)


SMALL, OTHER, WIDE = [10, 10, 20, 20], [60, 60, 20, 20], [100, 20, 60, 50]


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_precision_at_101_recalls(kind):
    """True, false, true: precision 1 up to a recall of one half (51 of 101), then 2/3."""
    results = found((1, 3, 0.9, SMALL), (1, 3, 0.8, OTHER), (2, 3, 0.7, WIDE))
    scores = coco_scores(truth((1, 3, SMALL), (2, 3, WIDE)), results, kinds=[kind]).numbers[kind]
    assert list(scores) == list(NUMBERS)
    for name in ("AP", "AP50", "AP75"):
        assert scores[name] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores["AR100"] == 1
    assert scores["APs"] == ONE  # the false one is less sure than the true one
    assert np.isnan(scores["APl"])
    assert np.isnan(scores["ARl"])


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_annotation_ids_do_not_matter(kind):
    """pycocotools alone takes the id 0 for "no match", and one of two equal ids is lost."""
    scores = coco_scores(truth((1, 3, SMALL), (2, 3, WIDE)), found((1, 3, 0.9, SMALL), (2, 3, 0.7, WIDE)), kinds=[kind])
    assert scores.numbers[kind]["AP"] == ONE
    assert list(scores.per_class["objects"]) == [2, 0]


def test_no_results_are_zero_and_no_objects_are_nan():
    scores = coco_scores(truth((1, 3, SMALL)), [])
    assert scores.numbers["box"]["AP"] == scores.numbers["mask"]["AR100"] == scores.metrics()["mask_APs"] == 0
    assert "box_APl" not in scores.metrics()
    nothing = coco_scores(truth(), found((1, 3, 0.9, SMALL)))
    assert np.isnan(list(nothing.numbers["box"].values())).all()
    assert nothing.metrics() == {}
    assert nothing.per_class["box AP"].isna().all()


def test_crowds_count_neither_way():
    crowd = truth((1, 3, WIDE), iscrowd=1, segmentation=filled(WIDE))
    crowd["annotations"] += truth((1, 3, SMALL))["annotations"]
    inside = [110, 30, 20, 20]
    scores = coco_scores(crowd, found((1, 3, 0.9, inside), (1, 3, 0.8, SMALL)))
    assert [scores.numbers[kind]["AP"] for kind in ("box", "mask")] == [ONE, ONE]
    assert scores.per_class.loc[0, "objects"] == 1


def test_where_masks_are_scored_a_detection_has_its_masks_area():
    """A false detection of 400 pixels in a box of 10,000 is a small one."""
    results = found((1, 3, 0.9, OTHER), (1, 3, 0.8, SMALL))
    results[0]["bbox"] = [0, 0, 100, 100]
    numbers = coco_scores(truth((1, 3, SMALL)), results).numbers
    assert numbers["mask"]["APs"] == pytest.approx(0.5)
    assert numbers["box"]["APs"] == ONE


def test_an_object_without_a_mask_is_ignored_where_masks_are_scored():
    ground_truth = truth((1, 3, SMALL), (2, 3, WIDE))
    del ground_truth["annotations"][0]["segmentation"]
    numbers = coco_scores(ground_truth, found((1, 3, 0.9, SMALL), (2, 3, 0.8, WIDE))).numbers
    assert [numbers["mask"]["AP"], numbers["box"]["AP"]] == [ONE, ONE]
    numbers = coco_scores(ground_truth, found((2, 3, 0.8, WIDE))).numbers
    assert numbers["mask"]["AP"] == ONE
    assert numbers["box"]["AP"] == pytest.approx(51 / 101)


def test_boxes_of_results_that_have_masks_only():
    results = [{key: entry[key] for key in entry if key != "bbox"} for entry in found((1, 3, 0.9, SMALL))]
    assert coco_scores(truth((1, 3, SMALL)), results).numbers["box"]["AP"] == ONE


def test_some_of_the_images():
    results = found((1, 3, 0.9, SMALL), (2, 3, 0.8, OTHER))
    ground_truth = truth((1, 3, SMALL), (2, 3, WIDE))
    scores = coco_scores(ground_truth, results, image_ids=[1, 3])
    assert scores.numbers["box"]["AP"] == ONE
    assert list(scores.per_class["images"]) == [1, 0]
    assert coco_scores(ground_truth, results, image_ids=[2]).numbers["box"]["AP"] == 0


def test_the_table_has_a_row_a_category_in_the_order_of_ids():
    ground_truth = truth((1, 3, SMALL), (1, 3, OTHER), (2, 3, SMALL), (2, 7, WIDE))
    table = coco_scores(ground_truth, found((2, 7, 0.5, WIDE))).per_class
    assert list(table.columns) == ["category", "images", "objects", "box AP", "box AP50", "mask AP", "mask AP50"]
    assert table.to_numpy().tolist() == [["cat", 2, 3, 0, 0, 0, 0], ["dog", 1, 1, ONE, ONE, ONE, ONE]]


def test_nothing_is_printed_or_changed(capsys):
    ground_truth, results = truth((1, 3, SMALL)), found((1, 3, 0.9, SMALL))
    before = copy.deepcopy((ground_truth, results))
    coco_scores(ground_truth, results)
    assert (ground_truth, results) == before
    assert capsys.readouterr() == ("", "")


def test_results_that_do_not_belong_to_the_ground_truth():
    ground_truth = truth((1, 3, SMALL))
    with pytest.raises(
        UserError, match=r"`results` must be of the ground truth's images\. Received: image_id 8 and 1 oth"
    ):
        coco_scores(ground_truth, found((9, 3, 0.9, SMALL), (8, 3, 0.9, SMALL)))
    with pytest.raises(UserError, match=r"of the ground truth's categories\. Received: category_id 5, which"):
        coco_scores(ground_truth, found((1, 5, 0.9, SMALL)))
    boxes = [{key: entry[key] for key in entry if key != "segmentation"} for entry in found((1, 3, 0.9, SMALL))]
    with pytest.raises(UserError, match=r"must have a segmentation each where masks are scored.*kinds=\[\"box\"\]"):
        coco_scores(ground_truth, boxes)
    assert coco_scores(ground_truth, boxes, kinds=["box"]).numbers["box"]["AP"] == ONE


def test_real_annotations_as_results_are_perfect(shared_data):
    path = shared_data / "coco2017_mini" / "annotations" / "instances_val2017.json"
    ground_truth = json.loads(path.read_text(encoding="utf-8"))
    sizes = {image["id"]: (image["height"], image["width"]) for image in ground_truth["images"]}
    results = []
    for entry in ground_truth["annotations"]:
        if not entry["iscrowd"]:
            outline = rle.merge(rle.frPyObjects(entry["segmentation"], *sizes[entry["image_id"]]))
            results.append({key: entry[key] for key in ("image_id", "category_id", "bbox")})
            results[-1] |= {"score": 0.5, "segmentation": outline}
    scores = coco_scores(ground_truth, results)
    assert [scores.numbers[kind]["AP"] for kind in ("box", "mask")] == [ONE, ONE]
    assert len(scores.per_class) == 80
    assert scores.per_class["objects"].sum() == 1332 - 16
    results = [entry | {"score": 0.4} for entry in results if entry["category_id"] != 1]
    scores = coco_scores(ground_truth, results)
    assert scores.numbers["mask"]["AP"] == pytest.approx(79 / 80)
    assert scores.per_class.iloc[0].tolist()[3:] == [0, 0, 0, 0]
