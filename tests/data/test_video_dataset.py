"""Video data sets by name: the catalog, folders of classes, and what is refused."""

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from zoo.data import VIDEO_CATALOG, ClipSampling, load_video
from zoo.data.clip_augmentations import AUGMENTATIONS
from zoo.errors import UserError


@pytest.mark.parametrize("name", sorted(VIDEO_CATALOG))
def test_spec_is_complete(name):
    spec = VIDEO_CATALOG[name]
    assert spec.name == name
    assert len(spec.mean) == len(spec.std) == spec.channels == 3
    assert spec.augmentation in AUGMENTATIONS
    assert 0 < spec.validation_fraction < 1
    assert spec.description
    assert spec.how_to_get
    assert (spec.sampling, spec.image_size, spec.shorter_sides) == (ClipSampling.of("32x2"), 224, (256, 320))
    with pytest.raises(FrozenInstanceError):
        spec.image_size = 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 300}, r"`shorter_sides` must be \(least, most\), at least `image_size`\. .*image_size=300"),
        ({"shorter_sides": (320, 256)}, r"Received: shorter_sides=\(320, 256\)"),
        ({"test_size": 257}, r"`test_size` must be at most `test_shorter_side`\. .*test_shorter_side=256"),
    ],
)
def test_sizes_must_fit_together(changes, message):
    with pytest.raises(UserError, match=message):
        replace(VIDEO_CATALOG["kinetics"], **changes)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_folder_without_splits_is_divided_70_10_20(tmp_path):
    root = touch(tmp_path, *(f"{name}/{number:02d}.mp4" for name in "ab" for number in range(20)))
    dataset = load_video("video_folder", data_dir=root)
    assert {split: len(records) for split, records in dataset.splits.items()} == {
        "train": 28,
        "validation": 4,
        "test": 8,
    }
    assert dataset.class_names == ("a", "b")


def test_given_splits_and_all_kinds_of_files(tmp_path):
    kinds = ("a.mp4", "b.AVI", "c.mov", "d.webm", "e.mkv", ".hidden.mp4", "notes.txt", "f.jpg")
    root = touch(tmp_path, *(f"{split}/{name}/{kind}" for split in ("train", "val") for name in "xy" for kind in kinds))
    dataset = load_video("video_folder", data_dir=root)
    assert {split: len(records) for split, records in dataset.splits.items()} == {"train": 10, "validation": 10}
    assert [Path(path).name for path in dataset.splits["train"].paths[:5]] == list(kinds[:5])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "kinetic"}, r"`dataset` must be one of kinetics, video_folder\. .*Did you mean kinetics\?"),
        ({"name": "kinetics"}, r"The data set kinetics needs `data_dir` \(`--data-dir`\)\. Download"),
        ({"name": "kinetics", "on_corrupt": "skp"}, r"`on_corrupt` must be one of refuse, skip"),
        ({"name": "kinetics", "validation_fraction": 1.0}, r"`validation_fraction` must be in \[0, 1\)"),
        ({"name": "video_folder", "data_dir": "/no such folder"}, r"`data_dir` must be a folder .*is no folder"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        load_video(**settings)


def test_a_folder_of_images_holds_no_videos(tree):
    with pytest.raises(UserError, match=r"`data_dir` must lead to videos \(\.mp4, .*Received: none in the 2 folders"):
        load_video("video_folder", data_dir=tree(["a", "b"]))
