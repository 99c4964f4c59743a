"""What packets tell of frames, and which of their stamps are believed."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.data.video_index import VideoIndex, index_packets


def index_of(stamps, *, keys=(0,), hidden=(), form="mov,mp4", rate: int | None = 50, is_reordered=True) -> VideoIndex:
    packets = [
        SimpleNamespace(pts=stamp, is_keyframe=place in keys, is_discard=place in hidden)
        for place, stamp in enumerate(stamps)
    ]
    return index_packets(
        packets, container_format=form, time_base=Fraction(1, 10), rate=rate, is_reordered=is_reordered
    )


def test_frames_are_numbered_as_they_are_shown():
    index = index_of([5, 9, 7, 11, 13], keys=(0, 3))
    assert len(index) == 5
    np.testing.assert_allclose(index.times, [0, 0.2, 0.4, 0.6, 0.8])
    assert list(index.stamps) == [5, 7, 9, 11, 13]
    assert list(index.places) == [0, 2, 1, 3, 4]
    assert list(index.key_stamps) == [5, 11]


def test_hidden_frames_have_no_number_but_may_be_key_frames():
    index = index_of([-2, -1, 0, 1], keys=(0,), hidden=(0, 1))
    assert len(index) == 2
    assert list(index.places) == [2, 3]
    assert list(index.key_stamps) == [-2]


@pytest.mark.parametrize(
    ("stamps", "form", "is_reordered", "is_trusted"),
    [
        ([0, 2, 1], "mov,mp4", True, True),
        ([0, 1, 2], "avi", True, False),
        ([0, 1, 2], "avi", False, True),
        ([0, None, 2], "mov,mp4", True, False),
        ([None, None, None], "h264", False, False),
        ([0, 1, 1], "mov,mp4", False, False),
    ],
)
def test_stamps_that_are_believed(stamps, form, is_reordered, is_trusted):
    index = index_of(stamps, form=form, is_reordered=is_reordered)
    assert (index.stamps is not None) == is_trusted
    if not is_trusted:
        np.testing.assert_allclose(index.times, [0, 0.02, 0.04])
        assert list(index.places) == [0, 1, 2]


def test_a_rate_that_is_not_known_is_25():
    np.testing.assert_allclose(index_of([None] * 3, rate=None).times, [0, 0.04, 0.08])


def test_no_packets():
    assert len(index_of([])) == 0
