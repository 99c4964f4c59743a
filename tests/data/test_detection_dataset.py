"""Loading a detection data set: splits, defects in the log, and what is refused."""

import dataclasses
import logging
import re

import pytest

from zoo.data.defects import EMPTY_BOX
from zoo.data.detection_augmentations import AUGMENTATIONS
from zoo.data.detection_catalog import DETECTION_CATALOG
from zoo.data.detection_dataset import load_detection
from zoo.errors import UserError


@pytest.mark.parametrize("name", DETECTION_CATALOG)
def test_spec_is_complete(name):
    spec = DETECTION_CATALOG[name]
    assert spec.name == name
    assert len(spec.mean) == len(spec.std) == spec.channels == 3
    assert spec.augmentation in AUGMENTATIONS
    assert spec.shorter_side <= spec.longer_side <= spec.image_size
    assert spec.image_size % 64 == 0
    assert spec.how_to_get
    assert spec.source
    assert dataclasses.replace(spec, image_size=512).name == name


def test_splits_of_coco(shared_data):
    dataset = load_detection("coco", data_dir=shared_data / "coco2017_mini")
    assert {split: len(records) for split, records in dataset.splits.items()} == {"train": 133, "validation": 150}
    assert dataset.has_masks
    assert not load_detection("coco", data_dir=shared_data / "coco2017_mini", masks=False).has_masks


def test_validation_of_a_single_file_is_held_out(shared_data):
    def ids(**settings):
        splits = load_detection(data_dir=shared_data / "fruits_nuts", **settings).splits
        return {split: list(records.image_ids) for split, records in splits.items()}

    first, again, other = ids(seed=0), ids(seed=0), ids(seed=1)
    assert (len(first["train"]), len(first["validation"])) == (11, 3)
    assert first == again != other
    assert list(ids(validation_fraction=0)) == ["train"]
    assert len(ids(validation_fraction=0.5)["validation"]) == 7


def test_defects_are_logged(write_coco, annotate, caplog):
    folder = write_coco([annotate(1, 1, [2, 1, 6, 4]), annotate(2, 2, [2, 1, 0, 4])])
    with caplog.at_level(logging.WARNING):
        dataset = load_detection(data_dir=folder)
    assert dataset.report.count(EMPTY_BOX) == 1
    assert re.search(
        r"Defects of the data in .*\n.*count +handling.*\n.*box without area +1 +object left out", caplog.text
    )
    caplog.clear()
    load_detection(data_dir=write_coco([annotate(1, 1, [2, 1, 6, 4])]))
    assert not caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "cocoo"}, r"`dataset` must be one of coco\. Received: dataset='cocoo'\. Did you mean coco\?"),
        ({"on_corrupt": "skp"}, r"`on_corrupt` must be one of refuse, skip\. Received: on_corrupt='skp'"),
        (
            {"validation_fraction": 1.0},
            r"`validation_fraction` must be in \[0, 1\)\. Received: validation_fraction=1\.0",
        ),
        ({}, r"The data set coco needs `data_dir` \(`--data-dir`\)\. Unpack"),
        (
            {"data_dir": "/no such folder"},
            r"`data_dir` must be a folder .*data_dir='/no such folder', which is no folder",
        ),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        load_detection(**settings)
