"""Records keep objects with their images, and give back the ground truth in COCO's form."""

import json

import numpy as np
import pytest

from zoo.data.detection_dataset import load_detection, split_images


@pytest.fixture(scope="module")
def coco(shared_data):
    return load_detection(data_dir=shared_data / "coco2017_mini")


def rows_of(records, index):
    rows = slice(records.first[index], records.first[index + 1])
    return records.annotated[rows].tolist(), records.classes[rows].tolist(), list(records.outlines[rows])


def test_take_keeps_objects_with_their_images(coco):
    records = coco.splits["train"]
    chosen = records.take([100, 3, 3])
    assert list(chosen.image_ids) == [records.image_ids[index] for index in (100, 3, 3)]
    for place, index in enumerate((100, 3, 3)):
        assert rows_of(chosen, place) == rows_of(records, index)
        assert chosen.paths[place] == records.paths[index]
        np.testing.assert_array_equal(chosen.sizes[place], records.sizes[index])
    nothing = records.take([])
    assert (len(nothing), len(nothing.boxes)) == (0, 0)


def test_the_ground_truth_is_the_annotation_file(coco, shared_data):
    path = shared_data / "coco2017_mini" / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    truth = coco.ground_truth("validation")
    assert truth["categories"] == [{"id": entry["id"], "name": entry["name"]} for entry in content["categories"]]
    assert truth["images"] == [{key: entry[key] for key in ("id", "height", "width")} for entry in content["images"]]

    def by_image(annotations):
        keys = ("image_id", "category_id", "bbox", "area", "iscrowd", "segmentation")
        return sorted(json.dumps([entry[key] for key in keys], sort_keys=True) for entry in annotations)

    expected = content["annotations"]
    for entry in expected:  # Some numbers of the file are whole; all are floats here.
        entry["bbox"], entry["area"] = [float(number) for number in entry["bbox"]], float(entry["area"])
        if isinstance(entry["segmentation"], list):
            entry["segmentation"] = [[float(number) for number in part] for part in entry["segmentation"]]
    assert by_image(truth["annotations"]) == by_image(expected)
    assert json.loads(json.dumps(truth)) == truth


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.999])
def test_split_images_is_a_partition(coco, fraction):
    records = coco.splits["train"]
    rest, taken = split_images(records, fraction, seed=3)
    assert sorted([*rest.image_ids, *taken.image_ids]) == sorted(records.image_ids)
    assert len(taken) == min(max(1, round(fraction * 133)), 132)
    assert list(taken.image_ids) == [number for number in records.image_ids if number in set(taken.image_ids)]
    again, other = (split_images(records, fraction, seed=seed)[1] for seed in (3, 4))
    assert list(again.image_ids) == list(taken.image_ids) != list(other.image_ids)
