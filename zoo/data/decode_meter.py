"""How fast videos are decoded, beside how fast their frames are taken."""

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class DecodeRates:
    """What was decoded in a stretch of time.

    Attributes:
        videos: how often one was opened.
        decoded: frames that the decoder gave.
        kept: frames that became part of clips.
        busy: seconds that threads spent on it, all of them together.
        elapsed: seconds that went by.
        threads: that may decode at a time.
        left_out: how often a video could not be decoded.

    >>> print(DecodeRates(videos=10, decoded=480, kept=320, busy=4.0, elapsed=10.0, threads=2))
    clips took 32 frames/s, decoding could give 160 on 2 threads (1.5 decoded for each one kept)
    """

    videos: int
    decoded: int
    kept: int
    busy: float
    elapsed: float
    threads: int
    left_out: int = 0

    @property
    def taken_per_second(self) -> float:
        """Frames of clips a second of the time that went by: what training, or evaluation, took."""
        return self.kept / self.elapsed if self.elapsed else 0.0

    @property
    def possible_per_second(self) -> float:
        """Frames of clips a second if all threads decoded all the time: what decoding can give."""
        return self.kept / self.busy * self.threads if self.busy else 0.0

    def __str__(self) -> str:
        lost = f"; {self.left_out} times a video could not be decoded and was left out" if self.left_out else ""
        if not self.kept:
            return f"no video was decoded{lost}"
        return (
            f"clips took {self.taken_per_second:,.0f} frames/s, decoding could give {self.possible_per_second:,.0f} on "
            f"{self.threads} threads ({self.decoded / self.kept:.1f} decoded for each one kept){lost}"
        )


class DecodeMeter:
    """Counts what a pipeline decodes; give it to one, and ask it now and then. For several threads.

    >>> meter = DecodeMeter()
    >>> meter.add(decoded=48, kept=32, seconds=0.1, threads=2)
    >>> rates = meter.take()
    >>> rates.videos, rates.possible_per_second, meter.take().videos
    (1, 640.0, 0)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start_anew()

    def _start_anew(self) -> None:
        self._videos = self._decoded = self._kept = self._threads = self._left_out = 0
        self._busy, self._start = 0.0, time.monotonic()

    def add(self, *, decoded: int, kept: int, seconds: float, threads: int) -> None:
        """Notes a video: how many frames were decoded and kept, in how much time, by one of how many threads."""
        with self._lock:
            self._threads = threads
            self._videos += 1
            self._decoded += decoded
            self._kept += kept
            self._busy += seconds

    def add_left_out(self) -> None:
        """Notes a video that could not be decoded."""
        with self._lock:
            self._left_out += 1

    def take(self) -> DecodeRates:
        """What was counted since the last time, or since the beginning."""
        with self._lock:
            rates = DecodeRates(
                videos=self._videos,
                decoded=self._decoded,
                kept=self._kept,
                busy=self._busy,
                elapsed=time.monotonic() - self._start,
                threads=self._threads,
                left_out=self._left_out,
            )
            self._start_anew()
        return rates
