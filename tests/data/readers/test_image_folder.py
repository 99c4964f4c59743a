"""Class folders, with and without splits, and everything that can be wrong with them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import load
from zoo.errors import UserError


def counts(dataset) -> dict[str, int]:
    return {split: len(records) for split, records in dataset.splits.items()}


def test_plant_seedlings(shared_data):
    dataset = load("plant_seedlings", data_dir=shared_data / "plant_seedlings")
    assert len(dataset.class_names) == 12
    assert dataset.class_names[0] == "Black-grass"
    # 36 a class: 7 for testing, an eighth of the other 29 for validation.
    assert counts(dataset) == {"train": 12 * 25, "validation": 12 * 4, "test": 12 * 7}
    for records in dataset.splits.values():
        for path, label in zip(records.paths, records.labels, strict=True):
            assert Path(path).parent.name == dataset.class_names[label]


def test_folder_without_splits_is_divided_70_10_20(tree):
    dataset = load("folder", data_dir=tree(["a", "b"], images=20))
    assert counts(dataset) == {"train": 28, "validation": 4, "test": 8}
    assert len({path for records in dataset.splits.values() for path in records.paths}) == 40


def test_test_split_of_a_folder_is_the_same_for_every_seed(tree):
    root = tree(["a", "b"], images=20)
    first, other = load("folder", data_dir=root, seed=0), load("folder", data_dir=root, seed=1)
    assert list(first.splits["test"].paths) == list(other.splits["test"].paths)
    assert list(first.splits["validation"].paths) != list(other.splits["validation"].paths)


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_given_splits_are_kept(tree, validation):
    root = tree([f"{split}/{name}" for split in ("train", validation, "test") for name in "ab"], images=3)
    dataset = load("folder", data_dir=str(root))
    assert counts(dataset) == {"train": 6, "validation": 6, "test": 6}
    for split, folder in (("train", "train"), ("validation", validation), ("test", "test")):
        assert {Path(path).parents[1].name for path in dataset.splits[split].paths} == {folder}


def test_validation_is_carved_from_train_where_there_is_none(tree):
    dataset = load("folder", data_dir=tree(["train/a", "train/b", "test/a", "test/b"], images=8))
    assert counts(dataset) == {"train": 14, "validation": 2, "test": 16}


def test_all_suffixes_in_any_case_and_no_other_files(tree):
    root = tree(["a", "b"], images=1, suffix=".jpg")
    for suffix in (".JPEG", ".Png", ".BMP", ".gif"):
        tree(["a"], images=1, suffix=suffix)
    for name in (".hidden.jpg", "notes.txt", "._000.jpg", "Thumbs.db"):
        (root / "a" / name).write_text("no image")
    (root / ".cache").mkdir()
    (root / "readme.txt").write_text("about")
    dataset = load("folder", data_dir=root, validation_fraction=0)
    found = Counter(Path(path).suffix for records in dataset.splits.values() for path in records.paths)
    assert found == {".jpg": 2, ".JPEG": 1, ".Png": 1, ".BMP": 1, ".gif": 1}
    assert dataset.class_names == ("a", "b")


@pytest.mark.parametrize("name", ["folder", "plant_seedlings", "imagenet2012", "cifar10"])
def test_one_class_is_refused(tree, name):
    root = tree(["train/cat", "test/cat", "val/cat"], images=1)
    if name == "cifar10":
        for path in root.rglob("*.jpg"):
            Image.new("RGB", (32, 32)).save(path)
    message = rf"must hold at least 2 classes. Received: data_dir='{root}', with cat alone\. \w+"
    with pytest.raises(UserError, match=message):
        load(name, data_dir=root)


def test_one_class_folder_without_splits_is_refused(tree):
    with pytest.raises(UserError, match=r"at least 2 classes. Received: data_dir='.*/tree', with cat alone\."):
        load("folder", data_dir=tree(["cat"], images=3))


def test_splits_without_records_are_left_out(tree):
    dataset = load("folder", data_dir=tree(["a", "b"], images=1))
    assert counts(dataset) == {"train": 2}
    dataset = load("folder", data_dir=tree(["a", "b"], images=2))
    assert counts(dataset) == {"train": 2, "test": 2}


def test_class_folders_that_differ_are_named(tree):
    root = tree(["train/cat", "train/dog", "test/cat", "test/bird"], images=1)
    with pytest.raises(UserError, match=r"same class folders. Received: train/ alone has dog; test/ alone has bird\."):
        load("folder", data_dir=root)
    (root / "val" / "cat").mkdir(parents=True)
    with pytest.raises(UserError, match=r"Received: train/ has dog, which another split lacks; test/ has bird"):
        load("folder", data_dir=root)


def test_split_without_class_folders(tree):
    root = tree(["train/a", "train/b", "test"], images=10)  # as Kaggle publishes the seedlings
    message = r"must have class folders. Received: .*/test has none. .*give the folder that holds the twelve species"
    with pytest.raises(UserError, match=message):
        load("plant_seedlings", data_dir=root)
    assert set(load("plant_seedlings", data_dir=root / "train").splits) == {"train", "validation", "test"}


@pytest.mark.parametrize("name", ["folder", "plant_seedlings", "cifar10", "fashion_mnist", "imagenet2012"])
def test_missing_and_empty_folders(tmp_path, name):
    with pytest.raises(UserError, match=rf"holds the data set '{name}'. Received: .*absent.*which is no folder\."):
        load(name, data_dir=tmp_path / "absent")
    with pytest.raises(UserError, match=r"which is empty\. \w+"):
        load(name, data_dir=tmp_path)


@pytest.mark.parametrize("name", ["folder", "plant_seedlings", "imagenet2012"])
def test_data_dir_is_needed(name):
    with pytest.raises(UserError, match=rf"The data set {name} needs `data_dir` \(`--data-dir`\)\. \w+"):
        load(name)


@pytest.mark.parametrize("folders", [["a"], ["train/a", "test/a"]])
def test_no_images(tree, folders):
    root = tree(folders, images=0)
    with pytest.raises(UserError, match=r"must lead to images \(.jpg, .*Received: none in the 1 folders of .*Give a"):
        load("folder", data_dir=root)


def test_images_without_class_folders(tree):
    root = tree(["."], images=3)
    with pytest.raises(UserError, match=r"must lead to images .*Received: none in the 0 folders of"):
        load("folder", data_dir=root)


def test_imagenet_sample(shared_data):
    dataset = load("imagenet2012", data_dir=shared_data / "imagenet_sample")
    assert counts(dataset) == {"test": 334}
    assert len(dataset.class_names) == 1000
    wnids = (shared_data / "imagenet_sample" / "synset_words.txt").read_text().split("\n")
    test = dataset.splits["test"]
    assert [wnids[label].split()[0] for label in test.labels] == [Path(path).parent.name for path in test.paths]
    assert list(test.labels[:3]) == [0, 3, 6], "every third class has an image"
    assert dataset.class_names[0] == "tench"


def test_imagenet_train_and_val(tree):
    root = tree([f"{split}/{wnid}" for split in ("train", "val", "test") for wnid in ("n02", "n01")], images=10)
    dataset = load("imagenet2012", data_dir=root, validation_fraction=0.1)
    assert counts(dataset) == {"train": 18, "validation": 2, "test": 20}
    assert dataset.class_names == ("n01", "n02")
    assert {Path(path).parents[1].name for path in dataset.splits["test"].paths} == {"val"}
    # Names in the file's order are numbered by their ids' order, and a class may be without a folder.
    (root / "synset_words.txt").write_text("n02 dog, hound\nn03 emu\nn01 cat\n\n")
    dataset = load("imagenet2012", data_dir=root)
    assert dataset.class_names == ("cat", "dog, hound", "emu")
    np.testing.assert_array_equal(np.unique(dataset.splits["test"].labels), [0, 1])
    (root / "synset_words.txt").write_text("n02 dog\n")
    with pytest.raises(UserError, match=r"must be named as in synset_words.txt. Received: n01\. Rename"):
        load("imagenet2012", data_dir=root)


@pytest.mark.parametrize("synsets", [None, "".join(f"n{i:02d} name {i}\n" for i in range(20))])
def test_imagenet_class_folders_that_differ_are_named(tree, synsets):
    root = tree(["train/n01", "train/n02", "val/n01"], images=1)
    if synsets:
        (root / "synset_words.txt").write_text(synsets)
    with pytest.raises(UserError, match=r"same class folders. Received: train/ alone has n02\. Rename"):
        load("imagenet2012", data_dir=root)
    tree([f"train/n{i:02d}" for i in range(3, 12)], images=1)
    with pytest.raises(UserError, match=r"train/ alone has n02, n03, n04, n05, n06 and 5 others\."):
        load("imagenet2012", data_dir=root)


def test_imagenet_images_without_class_folders(tree):
    root = tree(["train/n01", "train/n02", "val"], images=1)  # as the archive of validation images unpacks
    with pytest.raises(UserError, match=r"Received: .*/val has none\. .*val/<wnid>/\*\.JPEG"):
        load("imagenet2012", data_dir=root)


def test_imagenet_without_train_and_val(tree):
    with pytest.raises(UserError, match=r"`data_dir` must hold train/ or val/\. Received: .*Register at"):
        load("imagenet2012", data_dir=tree(["n01"]))
