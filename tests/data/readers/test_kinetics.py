"""Kinetics' lists and files: every usual layout, and what is wrong with them counted and named."""

import csv
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from zoo.data import load_video
from zoo.data.defects import ABSENT_CLIP, CLIP_LISTED_TWICE, CLIPS_OF_A_WHOLE_VIDEO, NO_LABEL, NO_TIMES
from zoo.errors import UserError

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


def write_list(path: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def kinetics(tmp_path):
    """`kinetics({"train/a_000001_000011.mp4": ...})` makes a data set of empty files and two lists."""

    def make(files: Sequence[str], *, train=(), validate=(), folder: str = "annotations") -> Path:
        root = tmp_path / "kinetics"
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        write_list(root / folder / "train.csv", [[*row, "train"] for row in train])
        if validate:
            write_list(root / folder / "validate.csv", [[*row, "validate"] for row in validate])
        return root

    return make


TRAIN = [("juggling, balls", "-a_b", "1", "11"), ("archery", "c", "100", "110")]
VALIDATE = [("archery", "d", "0", "10"), ("juggling, balls", "e", "5.0", "15.0")]


def names(records) -> list[str]:
    return [Path(path).name for path in records.paths]


def test_the_real_clips(shared_data, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = load_video("kinetics", data_dir=shared_data / "kinetics_like")
    assert not caplog.text
    assert {split: len(records) for split, records in dataset.splits.items()} == {"train": 21, "validation": 9}
    assert len(dataset.class_names) == 7
    assert list(dataset.class_names) == sorted(dataset.class_names)
    for split, records in dataset.splits.items():
        assert set(records.labels) == set(range(7))
        for path, label in zip(records.paths, records.labels, strict=True):
            words = dataset.class_names[label].replace("applying", "apply").replace(" ", "_")
            assert Path(path).name.startswith(words), split
            assert Path(path).parent.name == {"train": "train", "validation": "val"}[split]


@pytest.mark.parametrize(
    "folders",
    [
        ("train/", "val/"),
        ("train/", "validate/"),
        ("train/juggling balls/", "val/any class/deeper/"),
        ("videos/train/", "videos/validation/"),
        ("clips/", "clips/"),
        ("", ""),
    ],
)
def test_layouts(kinetics, folders):
    train, val = folders
    files = [
        f"{train}-a_b_000001_000011.mp4",
        f"{train}c_000100_000110.mkv",
        f"{val}d_000000_000010.webm",
        f"{val}e.MP4",
    ]
    root = kinetics(files, train=TRAIN, validate=VALIDATE, folder="annotations" if train else ".")
    dataset = load_video("kinetics", data_dir=root)
    assert dataset.class_names == ("archery", "juggling, balls")
    assert names(dataset.splits["train"]) == ["-a_b_000001_000011.mp4", "c_000100_000110.mkv"]
    assert names(dataset.splits["validation"]) == ["d_000000_000010.webm", "e.MP4"]
    assert list(dataset.splits["train"].labels) == [1, 0]
    assert list(dataset.splits["validation"].labels) == [0, 1]
    assert not dataset.report.found


def test_clips_that_are_gone_are_left_out_and_named(kinetics, caplog):
    root = kinetics(["train/c_000100_000110.mp4", "val/d_000000_000010.mp4"], train=TRAIN, validate=VALIDATE)
    with caplog.at_level(logging.WARNING):
        dataset = load_video("kinetics", data_dir=root)
    assert {split: names(records) for split, records in dataset.splits.items()} == {
        "train": ["c_000100_000110.mp4"],
        "validation": ["d_000000_000010.mp4"],
    }
    assert dataset.class_names == ("archery", "juggling, balls"), "the lists' classes, also those without a clip"
    assert dataset.report.names(ABSENT_CLIP) == ["-a_b_000001_000011", "e_000005_000015"]
    assert re.search(r"train.csv clip whose file is absent +1 clip left out -a_b_000001_000011", caplog.text)


def test_rows_with_defects(kinetics):
    rows = [
        *TRAIN,
        TRAIN[0],
        ("", "f", "1", "2"),
        ("archery", "g", "soon", "11"),
        ("archery", "h", "", ""),
        ("archery", "i", "0", "inf"),
    ]
    root = kinetics(["train/-a_b_000001_000011.mp4", "train/c_000100_000110.mp4"], train=rows)
    dataset = load_video("kinetics", data_dir=root, validation_fraction=0)
    assert len(dataset.splits["train"]) == 2
    assert dataset.report.names(CLIP_LISTED_TWICE) == ["-a_b_000001_000011"]
    assert dataset.report.names(NO_LABEL) == ["f_000001_000002"]
    assert dataset.report.names(NO_TIMES) == ["g", "h", "i"]


def test_whole_videos_stand_for_single_clips_only(kinetics):
    train = [("archery", "x", "0", "10"), ("juggling, balls", "y", "0", "10"), ("archery", "z", "0", "10")]
    validate = [("juggling, balls", "x", "20", "30"), ("archery", "z", "0", "10")]
    root = kinetics(
        ["train/x.mp4", "train/y.mp4", "val/x_000020_000030.mp4", "train/z.mp4"], train=train, validate=validate
    )
    dataset = load_video("kinetics", data_dir=root)
    assert {split: names(records) for split, records in dataset.splits.items()} == {
        "train": ["y.mp4", "z.mp4"],
        "validation": ["x_000020_000030.mp4"],
    }
    assert dataset.report.names(CLIPS_OF_A_WHOLE_VIDEO) == ["x_000000_000010"]
    assert dataset.report.names(CLIP_LISTED_TWICE) == ["z_000000_000010"], "in another split"


def test_lists_without_a_column_of_splits_are_told_by_their_names(tmp_path):
    columns = COLUMNS[:4]
    write_list(
        tmp_path / "annotations" / "kinetics_700_train.csv", [("a", "x", "0", "10"), ("b", "y", "0", "10")], columns
    )
    write_list(tmp_path / "annotations" / "k700_val.csv", [("b", "z", "0", "10")], columns)
    write_list(tmp_path / "annotations" / "test.csv", [("w", "0", "10")], columns[1:])  # As published, without labels.
    for video in "wxyz":
        (tmp_path / f"{video}_000000_000010.mp4").touch()
    dataset = load_video("kinetics", data_dir=tmp_path)
    assert {split: names(records) for split, records in dataset.splits.items()} == {
        "train": ["x_000000_000010.mp4", "y_000000_000010.mp4"],
        "validation": ["z_000000_000010.mp4"],
    }
    assert dataset.report.names(NO_LABEL) == ["w_000000_000010"]


def test_validation_is_taken_from_training_where_there_is_none(kinetics):
    rows = [(label, f"{label}{number}", "0", "10") for label in "ab" for number in range(10)]
    root = kinetics([f"train/{video}_000000_000010.mp4" for _, video, _, _ in rows], train=rows)
    dataset = load_video("kinetics", data_dir=root, on_corrupt="skip")
    assert np.bincount(dataset.splits["train"].labels).tolist() == [9, 9]
    assert np.bincount(dataset.splits["validation"].labels).tolist() == [1, 1]
    assert all(records.on_corrupt == "skip" for records in dataset.splits.values())


@pytest.mark.parametrize(
    ("files", "train", "message"),
    [
        (
            [],
            TRAIN,
            r"`data_dir` must hold the clips that its lists name\. Received: none of 2, of which the first is ",
        ),
        (["train/a.mp4"], [], r"Kinetics' lists must have clips with labels\. Received: none in the lists of "),
        (["train/c.mp4"], TRAIN[1:], r"`data_dir` must hold at least 2 classes\. Received: .*with archery alone"),
    ],
)
def test_what_is_refused(kinetics, files, train, message):
    root = kinetics(files, train=train)
    with pytest.raises(UserError, match=message):
        load_video("kinetics", data_dir=root)


def test_a_folder_without_lists(tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"must hold lists of clips with the columns youtube_id, time_start, time_end\."
    ):
        load_video("kinetics", data_dir=tmp_path)
