"""Decodes chosen frames of a video file: only those and what they depend on, within a bound of time."""

import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from zoo.data.video_index import VideoIndex, index_packets

# More is no video that training can wait for; a file on a disk takes milliseconds.
TIME_LIMIT = 120.0
# Of pixels a frame, 8192 x 8192: a damaged header must not take all memory.
_LARGEST = 2**26


class VideoError(ValueError):
    """A video file can't be decoded; the message is the reason, in a few words."""


class _MisledError(Exception):
    """The stamps of a file don't lead to its frames."""


@contextmanager
def open_video(path: str | Path, *, time_limit: float = TIME_LIMIT) -> Iterator["Video"]:
    """The first video in a file, read as far as to know its frames; none is decoded yet.

    Args:
        path: of a local file.
        time_limit: seconds until it must be closed.

    Raises:
        VideoError: it has no video, can't be read, or takes longer than the limit. Reading frames raises it, too.
    """
    video = Video(path, time_limit=time_limit)
    try:
        yield video
    finally:
        video.close()


class Video:
    """An open video file; `open_video` gives one. One thread uses it, and decodes with it.

    Attributes:
        index: its frames and their times.
        decoded: frames that the decoder gave so far, those between the wanted ones included.
    """

    def __init__(self, path: str | Path, *, time_limit: float) -> None:
        self.decoded = 0
        self._path, self._limit = str(path), time_limit
        self._deadline = time.monotonic() + time_limit
        self._size: tuple[int, int] = (0, 0)
        self._turn: Callable[[np.ndarray], np.ndarray] = np.asarray
        # Each keeps its tables for the next frame of the same kind.
        self._scaler, self._converter = VideoReformatter(), VideoReformatter()
        with _reasons():
            self._open()
            try:
                self.index = self._read_index()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def read(self, wanted: np.ndarray, *, shorter_side: int | None = None) -> np.ndarray:
        """Frames of the video, upright and in colour.

        Decoding begins at the last key frame before them, ends with the last of them, and leaves out what no other
        frame depends on. Where that doesn't give all of them, the whole file is decoded; a frame that the decoder
        doesn't give then either, as of a file that was cut off, is replaced by the next one, or by the last one.
        Pixels are taken to be square.

        Args:
            wanted: [n] numbers of frames from 0, in any order, also several times.
            shorter_side: what the shorter side is resized to, bilinear and antialiased, the longer one in proportion,
                rounded down; None: not at all.

        Returns:
            uint8 [n, H, W, 3], RGB.

        Raises:
            VideoError: they can't be decoded.
        """
        numbers, back = np.unique(wanted, return_inverse=True)
        if numbers[0] < 0 or numbers[-1] >= len(self.index):
            raise ValueError(
                f"`wanted` must be in 0 to {len(self.index) - 1}. Received: {numbers[0]} to {numbers[-1]}."
            )
        with _reasons():
            try:
                pictures = self._pictures(self._by_jumps(numbers), len(numbers), shorter_side)
            except _MisledError:
                pictures = self._pictures(self._from_the_start(numbers), len(numbers), shorter_side)
        return pictures if len(numbers) == len(back) and (np.diff(back) > 0).all() else pictures[back]

    def _open(self) -> None:
        mode = Path(self._path).stat().st_mode
        if not stat.S_ISREG(mode):
            raise VideoError("it is no file")
        # Bytes that are no text in the names of things are nothing to fail for.
        self._container = av.open(self._path, timeout=self._limit, metadata_errors="replace")
        try:
            self._open_stream()
        except BaseException:
            self.close()
            raise

    def _open_stream(self) -> None:
        streams = [each for each in self._container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams:
            raise VideoError("it has no video")
        self._stream = streams[0]
        self._decoder = self._stream.codec_context
        if self._decoder is None:
            raise VideoError("FFmpeg doesn't know its codec")
        # Several videos are decoded at a time, and two threads for one frame take more together than one.
        self._decoder.thread_count = 1
        self._decoder.options = {"max_pixels": str(_LARGEST)}
        # Some decoders (dav1d's of AV1) look at `skip_frame` only now, and must not leave frames out for good.
        self._decoder.open()

    def _packets(self) -> Iterator[av.Packet]:
        """The packets from where the file is that hold something, within the limit of time."""
        for packet in self._container.demux(self._stream):
            if time.monotonic() > self._deadline:
                raise VideoError(f"it takes longer than {self._limit:g} s")
            if packet.size:
                yield packet

    def _read_index(self) -> VideoIndex:
        index = index_packets(
            self._packets(),
            container_format=self._container.format.name,
            time_base=self._stream.time_base,
            rate=self._stream.average_rate,
            is_reordered=self._decoder.has_b_frames,
        )
        if not len(index):
            raise VideoError("it has no frames")
        return index

    def _by_jumps(self, numbers: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
        """(place in `numbers`, frame), found by the stamps of the frames, from key frame to key frame."""
        index = self.index
        if index.stamps is None or not len(index.key_stamps):
            raise _MisledError
        keys = np.maximum(0, np.searchsorted(index.key_stamps, index.stamps[numbers], side="right") - 1)
        # Where a whole stretch between key frames isn't wanted, a jump is worth its while.
        jumps = np.flatnonzero(np.diff(keys) > 1) + 1
        for places in np.split(np.arange(len(numbers)), jumps):
            run = numbers[places]
            last = int(index.stamps[run[index.places[run].argmax()]])
            packets = self._packets_from(int(keys[places[0]]))
            frames = self._decode(packets, last=last, wanted=set(index.stamps[run].tolist()))
            for place, frame in _exactly(self._numbered(frames), run):
                yield int(places[0]) + place, frame

    def _numbered(self, frames: Iterable[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """(number, frame), by the stamps.

        A decoder gives frames as they are shown: if their numbers go back, the stamps are wrong.
        """
        before = -1
        for frame in frames:
            if (number := self.index.number_of.get(frame.pts)) is None:
                continue
            if number <= before:
                raise _MisledError
            before = number
            yield number, frame
        if before < 0:
            raise _MisledError

    def _packets_from(self, key: int) -> Iterator[av.Packet]:
        """The packets from the key frame number `key` on, or from the one before."""
        stamps = self.index.key_stamps
        for start in range(key, max(-1, key - 2), -1):
            with suppress(av.FFmpegError):
                self._container.seek(int(stamps[start]), stream=self._stream)
                packets = self._packets()
                first = next(packets, None)
                # Files without an index, and others, may lead to anywhere.
                if first is not None and first.is_keyframe and first.pts is not None and first.pts <= stamps[key]:
                    return chain([first], packets)
        raise _MisledError

    def _decode(self, packets: Iterable[av.Packet], *, last: int, wanted: set[int]) -> Iterator[av.VideoFrame]:
        """The frames of packets up to that with the stamp `last`, without those that nothing needs."""
        for packet in packets:
            self._decoder.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            yield from self._frames(packet)
            if packet.pts == last:
                break
        yield from self._frames(None)

    def _frames(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        """What the decoder gives for a packet; for None, the rest."""
        for frame in self._decoder.decode(packet):
            self.decoded += 1
            yield frame

    def _from_the_start(self, numbers: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
        """(place in `numbers`, frame) of all that the file gives, by stamps, or counted if these mislead."""
        if self.index.stamps is not None:
            with suppress(_MisledError):
                yield from _matched(self._numbered(self._all_frames()), numbers)
                return
        yield from _matched(enumerate(self._all_frames()), numbers)

    def _all_frames(self) -> Iterator[av.VideoFrame]:
        self.close()
        self._open()
        for packet in chain(self._packets(), [None]):
            yield from self._frames(packet)

    def _pictures(
        self, frames: Iterable[tuple[int, av.VideoFrame]], count: int, shorter_side: int | None
    ) -> np.ndarray:
        pictures: np.ndarray | None = None
        for place, frame in frames:
            if pictures is None:
                self._size = _resized(frame, shorter_side)
                self._turn = _turn_upright(frame)
            picture = self._turn(self._picture(frame))
            if pictures is None:
                pictures = np.empty([count, *picture.shape], np.uint8)
            pictures[place] = picture
        if pictures is None:
            raise VideoError("no frame of it can be decoded")
        return pictures

    def _picture(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame as RGB of the size of the first one."""
        height, width = self._size
        if (height, width) != (frame.height, frame.width) and frame.format.name.startswith("yuv"):
            # Brightness and colours apart, and then RGB of them, takes a third of the time of both at once.
            frame = self._scaler.reformat(frame, width=width, height=height, interpolation="BILINEAR", threads=1)
        # One thread, as above; FFmpeg's own choice of several takes three times as much of the processor.
        return self._converter.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="BILINEAR", threads=1
        ).to_ndarray()


@contextmanager
def _reasons() -> Iterator[None]:
    """Makes what FFmpeg and the system say a `VideoError`."""
    try:
        yield
    except VideoError:
        raise
    except FileNotFoundError as error:
        raise VideoError("there is no such file") from error
    except (av.FFmpegError, OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise VideoError(reason[0].lower() + reason[1:]) from error
    except (LookupError, ValueError) as error:
        # PyAV's, as of streams that a damaged file brings up in its middle.
        raise VideoError(f"it is damaged ({error})") from error


def _exactly(frames: Iterable[tuple[int, av.VideoFrame]], numbers: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
    """(place in `numbers`, its frame) of frames with ascending numbers, all of which must be there.

    A decoder that begins in the middle may leave frames out for a while: H.264 also begins where a picture is not yet
    whole, and is renewed piece by piece.
    """
    place = 0
    for number, frame in frames:
        if number > numbers[place]:
            break
        if number == numbers[place]:
            yield place, frame
            place += 1
            if place == len(numbers):
                return
    raise _MisledError


def _matched(frames: Iterable[tuple[int, av.VideoFrame]], numbers: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
    """(place in `numbers`, its frame) of frames with ascending numbers; for one that is missing the next, or the last.

    >>> list(_matched([(0, "a"), (1, "b"), (3, "d")], np.array([1, 2, 5])))
    [(0, 'b'), (1, 'd'), (2, 'd')]
    """
    place, frame = 0, None
    for number, frame in frames:
        while place < len(numbers) and numbers[place] <= number:
            yield place, frame
            place += 1
        if place == len(numbers):
            return
    if frame is not None:
        for rest in range(place, len(numbers)):
            yield rest, frame


def _resized(frame: av.VideoFrame, shorter_side: int | None) -> tuple[int, int]:
    """(height, width) of the frame with that shorter side, as `image_ops.fit` has it.

    Raises:
        VideoError: the longer side becomes too long.
    """
    height, width = frame.height, frame.width
    if shorter_side is None:
        return height, width
    size = max(shorter_side, shorter_side * height // width), max(shorter_side, shorter_side * width // height)
    if size[0] * size[1] > _LARGEST:
        raise VideoError(f"its frames of {width} x {height} pixels are too narrow")
    return size


def _turn_upright(frame: av.VideoFrame) -> Callable[[np.ndarray], np.ndarray]:
    """What makes pictures [H, W, 3] upright, by the matrix that tells how a camera was held; mirrors it, too.

    The matrix, of numbers in 1/65536, takes a point (x, y) to (a x + c y, b x + d y).
    """
    matrices = [bytes(data) for data in frame.side_data if data.type == SideData.DISPLAYMATRIX]
    if not matrices:
        return np.asarray
    a, b, _, c, d = np.frombuffer(matrices[0], "<i4", count=5).tolist()
    is_turned = abs(b) > abs(a)
    down, right = (b, c) if is_turned else (d, a)

    def turn(picture: np.ndarray) -> np.ndarray:
        picture = picture.swapaxes(0, 1) if is_turned else picture
        return picture[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]

    return turn
