"""Which annotation files and image folders belong to a data set."""

from pathlib import Path

import pytest

from zoo.data.readers.coco_files import find_annotations, find_images
from zoo.errors import UserError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            [
                "annotations/instances_train2017.json",
                "annotations/instances_val2017.json",
                "annotations/captions_val2017.json",
            ],
            {"train": "annotations/instances_train2017.json", "validation": "annotations/instances_val2017.json"},
        ),
        (["annotations/instances_default.json"], {"train": "annotations/instances_default.json"}),
        (["trainval.json"], {"train": "trainval.json"}),
        (["fruit.json", ".hidden.json"], {"train": "fruit.json"}),
        (["latest.json"], {"train": "latest.json"}),  # no word that begins with "test"
        (["val.json"], {"validation": "val.json"}),
        (["annotations/my_validation.json", "other.json"], {"validation": "annotations/my_validation.json"}),
        (["train.json", "test.json"], {"train": "train.json", "test": "test.json"}),
        (
            ["train/_annotations.coco.json", "valid/_annotations.coco.json", "test/_annotations.coco.json"],
            {
                "train": "train/_annotations.coco.json",
                "validation": "valid/_annotations.coco.json",
                "test": "test/_annotations.coco.json",
            },
        ),
    ],
)
def test_splits_by_name(tmp_path, files, expected):
    found = find_annotations(touch(tmp_path, *files), how_to_get="")
    assert found == {split: tmp_path / name for split, name in expected.items()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/1.jpg"], r"`data_dir` must hold annotations in COCO's form\. Received: .*Get it\."),
        (["a.json", "train.json"], r"must be of another split\. Received: \S*a\.json, whose name tells no split"),
        (["train2014.json", "train2017.json"], r"train2014\.json, \S*train2017\.json, for the same split\. Name them"),
    ],
)
def test_files_that_leave_the_splits_unclear(tmp_path, files, message):
    with pytest.raises(UserError, match=message):
        find_annotations(touch(tmp_path, *files), how_to_get="Get it.")


@pytest.mark.parametrize(
    ("annotations", "folder"),
    [
        ("annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_val2017.json", "images/val2017"),
        ("annotations/instances_val2017.json", "valid"),
        ("annotations/instances_val.json", "images/val"),
        ("all.json", "images"),
        ("all.json", "."),
        ("val/_annotations.coco.json", "val"),
        ("annotations/all.json", "annotations"),
    ],
)
def test_folders_of_images(tmp_path, annotations, folder):
    # Folders that are searched earlier and hold other images don't count.
    touch(tmp_path, annotations, f"{folder}/b.jpg", "val2017/other.jpg", "images/other.jpg", "other.jpg")
    found = find_images(tmp_path, tmp_path / annotations, "validation", ["a.jpg", "b.jpg"])
    assert found == tmp_path / folder


def test_no_folder_holds_an_image(tmp_path):
    touch(tmp_path, "annotations/instances_train.json", "images/c.jpg")
    with pytest.raises(
        UserError, match=r"none of its 2 images, of which the first is a\.jpg, is in .*images.*Put them"
    ):
        find_images(tmp_path, tmp_path / "annotations" / "instances_train.json", "train", ["a.jpg", "b.jpg"])
