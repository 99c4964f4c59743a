"""A worker of benchmarks/video_decode.py: one reader, which reads the same clips again and again.

    python benchmarks/video_decode_worker.py READER

Runs in environments without this project.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from video_decode_readers import READERS
from worker import serve

# (path, numbers of frames, [height, width] or None)
Clip = tuple[str, list[int], list[int] | None]


def main() -> int:
    read = READERS[sys.argv[1]]()

    def read_clip(clip: Clip) -> Any:
        path, numbers, size = clip
        return read(path, numbers, tuple(size) if size else None)

    def seconds(clips: Sequence[Clip]) -> float:
        """The time for all clips, as many at a time as there are CPUs."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            start = time.perf_counter()
            for _ in threads.map(read_clip, clips):
                pass
            return time.perf_counter() - start

    def save(clips: Sequence[Clip], folder: str) -> None:
        """Writes every clip to the folder, for `differences`."""
        for number, clip in enumerate(clips):
            np.save(f"{folder}/{number}.npy", read_clip(clip))

    def differences(clips: Sequence[Clip], folder: str) -> list[float]:
        """For every frame of every clip the mean absolute difference to the saved one, of 255."""
        found: list[float] = []
        for number, clip in enumerate(clips):
            saved, pictures = np.load(f"{folder}/{number}.npy"), read_clip(clip)
            if pictures.shape != saved.shape:
                found += [255.0] * len(saved)
            else:
                found += np.abs(pictures.astype(np.int16) - saved).mean(axis=(1, 2, 3)).tolist()
        return found

    serve({"seconds": seconds, "save": save, "differences": differences})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
