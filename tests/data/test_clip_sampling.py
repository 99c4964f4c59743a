"""Which frames are a clip: within the video, regular, by number or by time."""

import numpy as np
import pytest

from zoo.data import ClipSampling
from zoo.data.clip_sampling import clip_from, count_at_rate, frames_at_rate, random_clip, uniform_clips
from zoo.errors import UserError

TIMES = np.arange(100) / 25


@pytest.mark.parametrize(
    ("name", "frames", "stride", "span"), [("32x2", 32, 2, 63), ("64x1", 64, 1, 64), ("8x8", 8, 8, 57)]
)
def test_names(name, frames, stride, span):
    sampling = ClipSampling.of(name, clips=10, crops=3)
    assert (sampling.frames, sampling.stride, sampling.span, sampling.views) == (frames, stride, span, 30)
    assert str(sampling) == name
    assert ClipSampling() == ClipSampling.of("32x2")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "32"}, r"A clip must be given as frames x stride, such as 32x2, 64x1 or 8x8\. Received: clip='32'\."),
        ({"name": "8x8 "}, r"Received: clip='8x8 '"),
        ({"name": "0x2"}, r"`frames` must be at least 1\. Received: frames=0\."),
        ({"name": "8x8", "clips": 0}, r"`clips` must be at least 1\. Received: clips=0\."),
        ({"name": "8x8", "rate": 0.0}, r"`rate` must be above 0, or None\. Received: rate=0\.0\."),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        ClipSampling.of(**settings)


def test_random_clips_lie_anywhere_in_the_video():
    sampling = ClipSampling.of("8x8")
    starts = set()
    for draw in np.random.default_rng(0).random(2000, np.float32):
        clip = random_clip(TIMES, sampling, float(draw))
        assert (np.diff(clip) == 8).all()
        starts.add(int(clip[0]))
    assert starts == set(range(100 - 57 + 1))
    assert random_clip(TIMES, sampling, float(np.nextafter(np.float32(1), np.float32(0))))[-1] == 99


@pytest.mark.parametrize("count", [1, 5, 57])
def test_a_video_that_is_too_short_begins_again(count):
    sampling = ClipSampling.of("8x8", clips=3)
    expected = np.arange(0, 64, 8) % count
    assert (random_clip(np.arange(count) / 25, sampling, 0.999) == expected).all()
    assert (uniform_clips(np.arange(count) / 25, sampling) == expected).all()


def test_ten_clips_go_from_the_first_frame_to_the_last():
    clips = uniform_clips(TIMES, ClipSampling.of("8x8"))
    assert clips.shape == (10, 8)
    assert (np.diff(clips) == 8).all()
    assert clips[0, 0] == 0
    assert clips[-1, -1] == 99
    distances = np.diff(clips[:, 0])
    assert distances.max() - distances.min() <= 1
    assert uniform_clips(TIMES, ClipSampling.of("8x8", clips=1))[0, 0] == 22, "a single one is in the middle"


def test_by_time_a_video_of_another_rate_gives_the_same_moments():
    sampling = ClipSampling.of("8x4", rate=30.0)
    at_60, at_15 = np.arange(600) / 60, np.arange(150) / 15
    assert count_at_rate(at_60, 30.0) == count_at_rate(at_15, 30.0) == 300
    for draw in (0.0, 0.4, 0.99):
        moments = at_60[random_clip(at_60, sampling, draw)], at_15[random_clip(at_15, sampling, draw)]
        np.testing.assert_allclose(*moments, atol=1 / 15)
        np.testing.assert_allclose(np.diff(moments[0]), 4 / 30, atol=1e-9)


def test_by_time_a_variable_rate_becomes_even():
    times = np.array([0.0, 0.04, 0.08, 0.5, 0.52, 0.54, 1.0, 1.4, 1.44, 1.46])
    by_number = clip_from(times, 0, ClipSampling.of("5x2"))
    assert list(by_number) == [0, 2, 4, 6, 8]
    by_time = clip_from(times, 0, ClipSampling.of("5x2", rate=6.0))
    moments = (np.arange(5) * 2 + 0.5) / 6
    assert list(by_time) == [int(np.flatnonzero(times <= moment)[-1]) for moment in moments] == [2, 2, 5, 6, 7]


def test_rounded_times_leave_no_frame_out():
    """Matroska has whole milliseconds."""
    for rate in (24.0, 25.0, 29.97, 30.0, 60.0):
        times = np.round(np.arange(300) / rate, 3)
        assert (frames_at_rate(times, np.arange(300), rate) == np.arange(300)).all()


def test_absurd_times_take_no_memory():
    times = np.array([0.0, 0.04, 1e15])
    assert random_clip(times, ClipSampling.of("8x8", rate=30.0), 0.5).shape == (8,)
