"""Readers of clips, ours and others: each gives chosen frames of a file, RGB, resized or not.

Runs in environments without this project: a reader imports what it needs when it is made.
"""

from collections.abc import Callable, Sequence
from typing import Any

# (path, ascending numbers of frames, (height, width) or None) -> uint8 [n, height, width, 3].
ReadClip = Callable[[str, Sequence[int], tuple[int, int] | None], Any]


def ours() -> ReadClip:
    """zoo.data.video_decode."""
    from zoo.data.video_decode import open_video

    def read(path: str, numbers: Sequence[int], size: tuple[int, int] | None) -> Any:
        with open_video(path) as video:
            return video.read(numbers, shorter_side=size and min(size))

    return read


def plain_pyav() -> ReadClip:
    """A loop over all frames from the first to the last wanted one, which are resized."""
    import av
    import numpy as np

    def read(path: str, numbers: Sequence[int], size: tuple[int, int] | None) -> Any:
        height, width = size or (None, None)
        wanted, pictures = set(numbers), []
        with av.open(path) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for number, frame in enumerate(container.decode(video=0)):
                if number in wanted:
                    pictures.append(
                        frame.to_ndarray(
                            format="rgb24", height=height, width=width, interpolation="BILINEAR", threads=1
                        )
                    )
                if number == numbers[-1]:
                    break
        return np.stack(pictures)

    return read


def opencv() -> ReadClip:
    """Goes to the first frame, grabs those up to the last and retrieves the wanted ones."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)

    def read(path: str, numbers: Sequence[int], size: tuple[int, int] | None) -> Any:
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        wanted, pictures = set(numbers), []
        if numbers[0]:
            capture.set(cv2.CAP_PROP_POS_FRAMES, numbers[0])
        for number in range(numbers[0], numbers[-1] + 1):
            if not capture.grab():
                break
            if number in wanted:
                picture = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
                if size and size != picture.shape[:2]:
                    is_smaller = size[0] < picture.shape[0]
                    picture = cv2.resize(
                        picture, size[::-1], interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
                    )
                pictures.append(picture)
        capture.release()
        return np.stack(pictures)

    return read


def decord() -> ReadClip:
    """Its VideoReader, which resizes while it decodes."""
    import decord

    def read(path: str, numbers: Sequence[int], size: tuple[int, int] | None) -> Any:
        height, width = size or (-1, -1)
        reader = decord.VideoReader(path, num_threads=1, height=height, width=width)
        return reader.get_batch(list(numbers)).asnumpy()

    return read


READERS: dict[str, Callable[[], ReadClip]] = {
    "keras_gn": ours,
    "PyAV, all frames": plain_pyav,
    "OpenCV": opencv,
    "decord": decord,
}
