"""Which frames of a video are a clip: pure functions of the times of its frames."""

import re
from dataclasses import dataclass, replace

import numpy as np

from zoo.errors import UserError

_NAME = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True, kw_only=True)
class ClipSampling:
    """How clips are taken from a video: `frames` x `stride`, such as 32x2, 64x1 or 8x8.

    Frames are counted as they come, as in the code that the published GroupNorm figures stand on (Non-local Neural
    Networks, arXiv 1711.07971), or, with `rate`, as if the video had so many a second (SlowFast, arXiv 1812.03982):
    then a video of another or of a variable frame rate gives clips of the same duration.

    Attributes:
        frames: of a clip.
        stride: from one frame of a clip to the next.
        rate: frames a second that a video is taken to have; None: its own.
        clips: taken from a video in evaluation, regularly, from its first frame to its last.
        crops: of each of these: 1, or 3 along the longer side. Views of a video are clips * crops.

    >>> ClipSampling.of("8x8").stride, ClipSampling.of("32x2", crops=3).views
    (8, 30)
    """

    frames: int = 32
    stride: int = 2
    rate: float | None = None
    clips: int = 10
    crops: int = 1

    def __post_init__(self) -> None:
        for name in ("frames", "stride", "clips", "crops"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 1. Received: {name}={getattr(self, name)}.")
        if self.rate is not None and not self.rate > 0:
            raise UserError(f"`rate` must be above 0, or None. Received: rate={self.rate}.")

    @classmethod
    def of(cls, name: str, *, rate: float | None = None, clips: int = 10, crops: int = 1) -> "ClipSampling":
        """The sampling called `name`, frames x stride.

        Raises:
            UserError: `name` isn't of that form, or a number is wrong.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise UserError(
                f"A clip must be given as frames x stride, such as 32x2, 64x1 or 8x8. Received: clip={name!r}."
            )
        return cls(frames=int(found[1]), stride=int(found[2]), rate=rate, clips=clips, crops=crops)

    def seen_as(self, views: str) -> "ClipSampling":
        """The same clips, with so many of a video in evaluation.

        Args:
            views: clips x crops, such as 10x1 or 10x3.

        Raises:
            UserError: it isn't of that form, or a number is wrong.

        >>> ClipSampling().seen_as("10x3").views
        30
        """
        found = _NAME.fullmatch(views)
        if found is None:
            raise UserError(f"`views` must be clips x crops, such as 10x1 or 10x3. Received: views={views!r}.")
        return replace(self, clips=int(found[1]), crops=int(found[2]))

    @property
    def views(self) -> int:
        """Views of a video in evaluation."""
        return self.clips * self.crops

    @property
    def span(self) -> int:
        """Frames from the first to the last of a clip."""
        return (self.frames - 1) * self.stride + 1

    def __str__(self) -> str:
        return f"{self.frames}x{self.stride}"


def random_clip(times: np.ndarray, sampling: ClipSampling, draw: float) -> np.ndarray:
    """The frames of a clip that begins anywhere from which the video is long enough; see `clip_from` if it isn't.

    Args:
        times: float64 [N] of the video's frames, seconds.
        sampling: what a clip is.
        draw: in [0, 1).

    Returns:
        int64 [frames], numbers of frames from 0.

    >>> random_clip(np.arange(10) / 25, ClipSampling.of("4x2"), 0.99)
    array([3, 5, 7, 9])
    """
    starts = max(0, count_at_rate(times, sampling.rate) - sampling.span) + 1
    return clip_from(times, int(draw * starts), sampling)


def uniform_clips(times: np.ndarray, sampling: ClipSampling) -> np.ndarray:
    """The frames of `sampling.clips` clips whose beginnings are equally far apart.

    The first clip begins with the video and the last one ends with it, as in SlowFast's code (`use_offset`); a single
    one is in the middle.

    Args:
        times: float64 [N] of the video's frames, seconds.
        sampling: what a clip is.

    Returns:
        int64 [clips, frames], numbers of frames from 0.

    >>> uniform_clips(np.arange(10) / 25, ClipSampling.of("4x2", clips=3))
    array([[0, 2, 4, 6],
           [2, 4, 6, 8],
           [3, 5, 7, 9]])
    """
    last = max(0, count_at_rate(times, sampling.rate) - sampling.span)
    starts = np.linspace(0, last, sampling.clips) if sampling.clips > 1 else [last / 2]
    # Halves go up: NumPy would round them to even numbers, and the distances would differ.
    return np.stack([clip_from(times, int(start + 0.5), sampling) for start in starts])


def clip_from(times: np.ndarray, start: int, sampling: ClipSampling) -> np.ndarray:
    """The frames of the clip that begins at `start`. A video that ends before the clip does begins again.

    Source: the code of Non-local Neural Networks, and mmaction2's default ("loop"); SlowFast's repeats the last frame.

    >>> clip_from(np.arange(5) / 25, 1, ClipSampling.of("4x2"))
    array([1, 3, 0, 2])
    """
    wanted = start + np.arange(sampling.frames) * sampling.stride
    return frames_at_rate(times, wanted % count_at_rate(times, sampling.rate), sampling.rate)


def count_at_rate(times: np.ndarray, rate: float | None) -> int:
    """How many frames a video has with `rate` frames a second, at least 1; None: with those it has.

    The last frame is taken to be shown as long as the others are on average.

    >>> count_at_rate(np.array([0.0, 0.1, 0.2, 0.3]), 5.0)
    2
    """
    if rate is None or len(times) < 2:
        return len(times)
    duration = float(times[-1] - times[0]) * len(times) / (len(times) - 1)
    return max(1, round(duration * rate))


def frames_at_rate(times: np.ndarray, numbers: np.ndarray, rate: float | None) -> np.ndarray:
    """Number n of `numbers` becomes the frame that is shown at n + 1/2 times 1 / rate seconds; without a rate, n.

    Args:
        times: float64 [N] of the video's frames, seconds, ascending.
        numbers: int64, of frames at that rate, from 0.
        rate: a second; None: that of the video.

    Returns:
        int64 of the shape of `numbers`, numbers of the video's frames.

    >>> frames_at_rate(np.array([0.0, 0.1, 0.2, 0.3]), np.arange(2), 5.0)
    array([1, 3])
    """
    if rate is None or len(times) < 2:
        return np.asarray(numbers, np.int64)
    # 0.1 + 0.1 is not the 0.2 of a file: a frame that begins within a microsecond is shown.
    moments = times[0] + (numbers + 0.5) / rate + 1e-6
    return np.asarray(np.maximum(0, np.searchsorted(times, moments, side="right") - 1))
