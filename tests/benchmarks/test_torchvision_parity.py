"""The parity with torchvision, run by the system's Python where it is installed; and that differences are seen."""

import json
import subprocess

import numpy as np
import pytest
from torchvision_parity import BOUNDS, PYTHON, VARIANTS, Outcome, compare, judge, torchvision_is_missing
from torchvision_parity_differences import nearest, paste_as_torchvision, relative

from zoo.models.mask_rcnn.settings import TORCHVISION, Settings

# Settings, and the arguments of torchvision's MaskRCNN.
NUMBERS = {
    "proposals_of_level": ("rpn_pre_nms_top_n_train", "rpn_pre_nms_top_n_test"),
    "proposals_of_image": ("rpn_post_nms_top_n_train", "rpn_post_nms_top_n_test"),
    "proposal_iou": "rpn_nms_thresh",
    "rpn_positive_from": "rpn_fg_iou_thresh",
    "rpn_negative_below": "rpn_bg_iou_thresh",
    "rpn_sample": "rpn_batch_size_per_image",
    "rpn_positive_share": "rpn_positive_fraction",
    "score_threshold": "box_score_thresh",
    "detection_iou": "box_nms_thresh",
    "detections": "box_detections_per_img",
    "region_positive_from": "box_fg_iou_thresh",
    "region_sample": "box_batch_size_per_image",
    "region_positive_share": "box_positive_fraction",
}


@pytest.fixture(scope="module")
def needs_torchvision():
    if reason := torchvision_is_missing():
        pytest.skip(reason)


@pytest.mark.timeout(1200)
def test_every_stage_is_torchvisions(needs_torchvision, capsys):
    found = compare(list(VARIANTS), ["224x320", "333x251"], [0, 1, 2])
    assert len(found) == 3 * sum(bound is not None for bound in BOUNDS.values())
    assert all(check.holds for check in found), capsys.readouterr().out


def test_another_convention_is_seen(needs_torchvision):
    found = compare(["gn_backbone"], ["224x320"], [0], ["aligned", "anchor_strides_from_image", "rpn_beta"])
    short = {check.name.split(": ")[1].split(",")[0] for check in found if not check.holds}
    assert {"anchors", "class logits", "boxes", "masks", "four losses"} <= short
    assert "features" not in short


def test_the_numbers_are_torchvisions(needs_torchvision):
    code = (
        "import inspect, json; from torchvision.models.detection.mask_rcnn import MaskRCNN\n"
        "parameters = inspect.signature(MaskRCNN).parameters.items()\n"
        "numbers = {name: each.default for name, each in parameters if isinstance(each.default, (int, float))}\n"
        "print(json.dumps(numbers))"
    )
    said = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout
    theirs, ours = json.loads(said), Settings(**TORCHVISION)
    for name, other in NUMBERS.items():
        expected = theirs[other] if isinstance(other, str) else tuple(theirs[each] for each in other)
        assert getattr(ours, name) == expected, name


def test_boxes_are_paired():
    boxes = np.array([[0.0, 0, 4, 4], [0, 0, 9, 9]])
    moved = np.array([[0, 0, 9, 9.25], [0, 0, 4, 4.25]])
    partner, away = nearest(boxes, moved)
    assert (partner.tolist(), away) == ([1, 0], 0.25)
    assert nearest(boxes, moved[:1])[1] == np.inf
    assert nearest(boxes, moved[[0, 0]])[1] == np.inf
    assert nearest(boxes, moved, kinds=(np.array([1, 2]), np.array([2, 1])))[1] == 0.25
    assert nearest(boxes, moved, kinds=(np.array([1, 2]), np.array([1, 2])))[1] > 4


def test_relative_to_the_largest():
    assert relative([1.0, 4.5], np.array([1.0, 4.0])) == 0.125


def test_pasting_as_torchvision_rounds_boxes():
    """A mask of 2 x 2 cells in (1.2, 0, 3.2, 2): with a border of one cell it is twice as large, (0.2, -1, 4.2, 3)."""
    pasted = np.array(paste_as_torchvision(np.ones((1, 2, 2)), np.array([[1.2, 0, 3.2, 2]]), size=(6, 6)))[0]
    # From pixel 0 to 4 and from -1 to 3, five pixels each: 4 / 5 of a cell a pixel, the border being 0.
    inside = np.array([0, 0.7, 1, 0.7, 0])
    np.testing.assert_allclose(pasted[:5, 1], inside, atol=1e-6)
    np.testing.assert_allclose(pasted[2, :4], inside[1:], atol=1e-6)
    np.testing.assert_array_equal(pasted[5], 0)


def outcome(seed, **found):
    return Outcome("gn", "224x320", seed, {**dict.fromkeys(BOUNDS, 0.0), **found})


def test_the_nearest_seed_counts():
    parted_once = [outcome(0, masks=0.9), outcome(1, masks=5e-4)]
    assert all(check.holds for check in judge(parted_once, "gn"))
    parted_always = judge([outcome(0, masks=0.9), outcome(1, scores=np.inf)], "gn")
    assert [check.name for check in parted_always if not check.holds] == ["gn: masks, of the 0.001 allowed"]


def test_without_torchvision_the_command_says_so(command, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert command("torchvision_parity.py") == 2
    assert "there is no /usr/bin/python3" in capsys.readouterr().err
