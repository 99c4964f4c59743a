"""What the packets of a video file tell of its frames, without decoding any."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import av
import numpy as np

# AVI has no times of presentation: FFmpeg guesses them, and wrongly where frames are stored in another order.
_WITHOUT_TIMES = frozenset({"avi"})


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """The frames of a video, numbered from 0 in the order in which they are shown.

    Attributes:
        times: float64 [N], seconds from the first frame on.
        stamps: int64 [N], ascending, by which the file's frames can be told from each other; None where the file has
            none that can be trusted.
        places: int64 [N], the place of each frame's packet among those of the file.
        key_stamps: int64 [K], ascending: the stamps with which decoding can begin. They may be of frames that aren't
            shown.
    """

    times: np.ndarray
    stamps: np.ndarray | None
    places: np.ndarray
    key_stamps: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def number_of(self) -> dict[int, int]:
        """The number of the frame with a stamp."""
        return {} if self.stamps is None else {stamp: number for number, stamp in enumerate(self.stamps.tolist())}


def index_packets(
    packets: Iterable[av.Packet],
    *,
    container_format: str,
    time_base: Fraction,
    rate: Fraction | None,
    is_reordered: bool,
) -> VideoIndex:
    """The index of a video stream.

    Stamps that are missing, doubled or guessed make the frames count in the order of the file, `rate` (25 by default) a
    second.

    Args:
        packets: all of the stream that hold something, in the order of the file.
        container_format: FFmpeg's name of the form of the file.
        time_base: seconds of a stamp's unit.
        rate: frames a second, as the file says.
        is_reordered: whether frames may be stored in another order than they are shown in.
    """
    rows = [(packet.pts, packet.is_keyframe, packet.is_discard) for packet in packets]
    shown = [place for place, (_, _, is_discard) in enumerate(rows) if not is_discard]
    stamps = [rows[place][0] for place in shown]
    is_guessed = is_reordered and container_format in _WITHOUT_TIMES
    if is_guessed or None in stamps or len(set(stamps)) < len(stamps):
        times = np.arange(len(shown)) / float(rate or 25)
        return VideoIndex(times, None, np.array(shown, np.int64), np.zeros(0, np.int64))
    order = np.argsort(np.array(stamps, np.int64), kind="stable")
    ascending = np.array(stamps, np.int64)[order]
    keys = sorted(stamp for stamp, is_key, _ in rows if is_key and stamp is not None)
    seconds = (ascending - ascending[:1]) * float(time_base)
    return VideoIndex(seconds, ascending, np.array(shown, np.int64)[order], np.array(keys, np.int64))
