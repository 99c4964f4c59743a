"""Data sets in COCO's form: what is read of them, and every defect counted, named and handled."""

import json

import numpy as np
import pytest

from zoo.data import defects
from zoo.data.outlines import Runs
from zoo.data.readers.coco import CocoData, read
from zoo.errors import UserError

BOX = [2, 1, 6, 4]


def read_all(folder, *, on_corrupt="refuse", masks=True) -> CocoData:
    return read(folder, how_to_get="Get it.", on_corrupt=on_corrupt, masks=masks)


def found(data: CocoData) -> dict[str, list[str]]:
    return {defect: names for (_, defect), names in data.report.found.items()}


def test_objects_lie_with_their_images_in_the_order_of_the_file(write_coco, annotate):
    rows = [annotate(10, 3, BOX), annotate(11, 1, [0, 0, 16, 12], category_id=7), annotate(12, 3, [1.5, 2, 3, 4.25])]
    data = read_all(write_coco(rows))
    assert (data.class_names, data.category_ids) == (("cat", "dog"), (3, 7))
    records = data.splits["train"]
    assert list(records.image_ids) == [1, 2, 3]
    assert [path.rsplit("/", 1)[1] for path in records.paths] == ["1.jpg", "2.jpg", "3.jpg"]
    assert records.sizes.tolist() == [[12, 16]] * 3
    assert list(records.counts) == [1, 0, 2]
    assert records.boxes.tolist() == [[0, 0, 12, 16], [1, 2, 5, 8], [2, 1.5, 6.25, 4.5]]
    assert (records.boxes.dtype, records.classes.dtype) == (np.float32, np.int32)
    assert list(records.classes) == [1, 0, 0]
    assert str(data.report) == "no defects"


def test_crowds_and_areas(write_coco, annotate):
    runs = {"size": [12, 16], "counts": [12, 24, 156]}
    rows = [annotate(1, 1, BOX, iscrowd=1, segmentation=runs, area=20.5), annotate(2, 1, BOX, iscrowd=None, area=None)]
    data = read_all(write_coco(rows))
    records = data.splits["train"]
    assert list(records.is_crowd) == [True, False]
    assert list(records.is_ignored) == [True, False]
    assert list(records.areas) == [20.5, 24]
    assert isinstance(records.outlines[0], Runs)
    assert not data.report.found


@pytest.mark.parametrize(
    ("change", "defect", "is_left"),
    [
        ({"image_id": 99}, defects.UNKNOWN_IMAGE, False),
        ({"image_id": None}, defects.UNKNOWN_IMAGE, False),
        ({"category_id": 4}, defects.UNKNOWN_CATEGORY, False),
        ({"bbox": None}, defects.NO_BOX, False),
        ({"bbox": [1, 2, 3]}, defects.NO_BOX, False),
        ({"bbox": [1, 2, float("nan"), 4]}, defects.NO_BOX, False),
        ({"bbox": "all"}, defects.NO_BOX, False),
        ({"bbox": [1, 2, 0, 4]}, defects.EMPTY_BOX, False),
        ({"bbox": [1, 2, 3, -4]}, defects.EMPTY_BOX, False),
        ({"bbox": [16, 2, 3, 4]}, defects.OUTSIDE_BOX, False),
        ({"bbox": [1, -4, 3, 4]}, defects.OUTSIDE_BOX, False),
        ({"bbox": [12, -2, 8, 8]}, defects.CUT_BOX, True),
        ({"segmentation": [[1, 1, 5, 5], [1, 1, 5, 1, 5, 5]]}, defects.SMALL_POLYGON, True),
        ({"segmentation": []}, defects.NO_OUTLINE, True),
        ({"segmentation": {"size": [12, 16], "counts": [7]}}, defects.NO_OUTLINE, True),
    ],
)
def test_a_defect_of_an_annotation_is_counted_named_and_handled(write_coco, annotate, change, defect, is_left):
    data = read_all(write_coco([annotate(1, 1, BOX), annotate(2, 2, BOX) | change, annotate(3, 3, BOX)]))
    image = change.get("image_id", 2)
    assert found(data) == {defect: [f"annotation 2 of image {image}"]}
    assert data.report.count(defect) == 1
    assert list(data.splits["train"].counts) == [1, int(is_left), 1]
    assert defect in str(data.report)
    assert defects.HANDLING[defect] in str(data.report)


def test_a_box_that_is_cut_stays_whole_for_evaluation(write_coco, annotate):
    data = read_all(write_coco([annotate(1, 1, [12, -2, 8, 8])]))
    records = data.splits["train"]
    assert records.boxes.tolist() == [[0, 12, 6, 16]]
    (truth,) = records.ground_truth(data.class_names, data.category_ids)["annotations"]
    assert truth["bbox"] == [12, -2, 8, 8]


def test_without_an_outline_an_object_is_ignored_where_masks_are_learned(write_coco, annotate):
    folder = write_coco([annotate(1, 1, BOX), annotate(2, 2, BOX, segmentation=None)])
    records = read_all(folder).splits["train"]
    assert list(records.is_ignored) == [False, True]
    assert list(records.is_crowd) == [False, False]
    data = read_all(folder, masks=False)
    assert data.splits["train"].outlines is None
    assert list(data.splits["train"].is_ignored) == [False, False]
    assert not data.report.found


def test_a_crowd_needs_no_outline_and_boxes_alone_no_polygon(write_coco, annotate):
    crowd = annotate(2, 2, BOX, segmentation=None, iscrowd=1)
    assert not read_all(write_coco([annotate(1, 1, BOX), crowd])).report.found
    folder = write_coco([annotate(1, 1, BOX, segmentation=[[1, 1, 5, 5]])])
    assert read_all(folder).report.count(defects.SMALL_POLYGON) == 1
    assert not read_all(folder, masks=False).report.found


def test_a_data_set_without_masks_has_boxes_only(write_coco, annotate):
    data = read_all(write_coco([annotate(1, 1, BOX, segmentation=None), annotate(2, 1, BOX, segmentation=[])]))
    assert data.splits["train"].outlines is None
    assert list(data.splits["train"].is_ignored) == [False, False]
    assert not data.report.found


def spoil_absent(folder):
    (folder / "images" / "2.jpg").unlink()


def spoil_content(folder):
    (folder / "images" / "2.jpg").write_bytes(b"no image")


def spoil_empty(folder):
    (folder / "images" / "2.jpg").write_bytes(b"")


def spoil_format(folder):
    from PIL import Image

    Image.new("RGB", [16, 12]).save(folder / "images" / "2.jpg", "TIFF")


def spoil_size(folder):
    from PIL import Image

    Image.new("RGB", [12, 16]).save(folder / "images" / "2.jpg")


@pytest.mark.parametrize(
    ("spoil", "defect", "reason"),
    [
        (spoil_absent, defects.ABSENT_FILE, "there is no such file"),
        (spoil_content, defects.UNREADABLE_FILE, "it is no image"),
        (spoil_empty, defects.UNREADABLE_FILE, "it is no image"),
        (spoil_format, defects.UNREADABLE_FILE, "it is TIFF, and not JPEG, PNG, BMP or GIF"),
        (spoil_size, defects.OTHER_SIZE, "it is 12 x 16 pixels and annotated as 16 x 12"),
    ],
)
def test_a_bad_image_is_refused_or_left_out_with_its_objects(write_coco, annotate, spoil, defect, reason):
    folder = write_coco([annotate(1, 1, BOX), annotate(2, 2, BOX), annotate(3, 3, BOX)])
    spoil(folder)
    with pytest.raises(
        UserError, match=rf"Every image that .* must be there.* 1 of 3 .*2\.jpg: {reason}\. .*on_corrupt"
    ):
        read_all(folder)
    data = read_all(folder, on_corrupt="skip")
    assert found(data) == {defect: [str(folder / "images" / "2.jpg")]}
    assert list(data.splits["train"].image_ids) == [1, 3]
    assert list(data.splits["train"].counts) == [1, 1]


def test_no_image_left(write_coco):
    folder = write_coco(count=1)
    (folder / "images" / "1.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 of 1 that are not: .*1\.jpg: it is no image\. Mend them\.$"):
        read_all(folder, on_corrupt="skip")


def test_an_image_that_is_listed_twice_counts_once(write_coco, annotate):
    images = [{"id": 1, "file_name": f"{number}.jpg", "width": 16, "height": 12} for number in (1, 2)]
    data = read_all(write_coco([annotate(1, 1, BOX)], changes={"images": images}))
    assert found(data) == {defects.LISTED_TWICE: ["image 1"]}
    assert data.splits["train"].paths[0].endswith("1.jpg")
    assert len(data.splits["train"]) == 1


def test_sizes_may_be_missing(write_coco, annotate):
    data = read_all(write_coco([annotate(1, 1, BOX)], count=1, changes={"images": [{"id": 1, "file_name": "1.jpg"}]}))
    assert data.splits["train"].sizes.tolist() == [[12, 16]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"annotations": None}, "it has no list of annotations"),
        ({"images": [3]}, "it has no list of images"),
        ({"categories": []}, "its list of categories is empty"),
        ({"images": [{"id": "a", "file_name": "1.jpg"}]}, "one of its images has no whole number as id"),
        ({"images": [{"id": 1}]}, "one of its images has no file_name"),
    ],
)
def test_annotation_files_of_another_form(write_coco, changes, reason):
    with pytest.raises(UserError, match=rf"must have COCO's form.*annotations\.json, and {reason}\. See https"):
        read_all(write_coco(changes=changes))


@pytest.mark.parametrize(("text", "reason"), [("{", "it can't be read"), ("[1]", "it holds no object")])
def test_annotation_files_that_are_no_json_object(write_coco, text, reason):
    folder = write_coco()
    (folder / "annotations.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        read_all(folder)


def test_categories_must_agree_and_have_ids_of_their_own(write_coco):
    write_coco(file="train.json")
    folder = write_coco(file="val.json", changes={"categories": [{"id": 3, "name": "cow"}]})
    with pytest.raises(
        UserError, match=r"must have the same categories\. Received: .*train\.json and .*val\.json, which"
    ):
        read_all(folder)
    write_coco(file="train.json", changes={"categories": [{"id": 3, "name": "cow"}, {"id": 3, "name": "cat"}]})
    with pytest.raises(
        UserError, match=r"must have an id of its own\. Received: .*train\.json, with several of id 3\."
    ):
        read_all(folder)


def test_coco_itself(shared_data):
    folder = shared_data / "coco2017_mini"
    data = read_all(folder)
    assert not data.report.found
    assert len(data.class_names) == 80
    assert data.category_ids[:13] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14)
    for split, file, images, objects, crowds in (
        ("train", "train", 133, 1291, 14),
        ("validation", "val", 150, 1332, 16),
    ):
        records = data.splits[split]
        assert (len(records), len(records.classes), records.is_crowd.sum()) == (images, objects, crowds)
        content = json.loads((folder / "annotations" / f"instances_{file}2017.json").read_text(encoding="utf-8"))
        assert list(records.image_ids) == [image["id"] for image in content["images"]]
        names = {category["id"]: category["name"] for category in content["categories"]}
        by_image = {image["id"]: [] for image in content["images"]}
        for entry in content["annotations"]:
            by_image[entry["image_id"]].append(names[entry["category_id"]])
        expected = [name for objects in by_image.values() for name in objects]
        assert [data.class_names[label] for label in records.classes] == expected


def test_own_data_of_one_file(shared_data):
    data = read_all(shared_data / "fruits_nuts")
    assert data.class_names == ("date", "fig", "hazelnut")
    assert {split: (len(records), len(records.classes)) for split, records in data.splits.items()} == {
        "train": (14, 131)
    }
