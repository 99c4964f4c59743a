"""The measurement of benchmarks/video_decode.py: a process a reader, one pass over the clips each, in turn."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from timing import alternate
from tqdm import tqdm
from worker import start_worker

from zoo.data import ClipSampling
from zoo.data.clip_sampling import random_clip
from zoo.data.readers.video_folder import VIDEOS
from zoo.data.video_decode import open_video

OURS, REFERENCE = "keras_gn", "PyAV, all frames"
_Clip = tuple[str, list[int], list[int] | None]


@dataclass(frozen=True)
class Case:
    """What is timed: random clips of `sampling`, of frames as they are stored or of that shorter side."""

    sampling: str
    shorter_side: int | None

    @property
    def label(self) -> str:
        return f"{self.sampling}, " + (f"shorter side {self.shorter_side}" if self.shorter_side else "as stored")


CASES = tuple(Case(sampling, side) for sampling in ("8x8", "32x2") for side in (None, 288))


@dataclass(frozen=True)
class Figures:
    """What one reader did in one case.

    Args:
        reader: its name.
        case: what was read.
        clips: in a pass.
        seconds: of each pass.
        differences: of every frame to the reference's, mean absolute, of 255.
    """

    reader: str
    case: Case
    clips: int
    seconds: list[float]
    differences: list[float]


def find_videos(folder: Path) -> list[Path]:
    """Every video in the folder and below, sorted."""
    return sorted(path for path in folder.rglob("*") if VIDEOS.matches(path.name) and path.is_file())


def choose_clips(paths: Sequence[Path], case: Case, *, per_video: int, seed: int = 0) -> list[_Clip]:
    """Random clips of every video, the same for every reader; the size is that of the frames then."""
    generator, clips = np.random.default_rng(seed), []
    for path in paths:
        with open_video(path) as video:
            size = video.read([0], shorter_side=case.shorter_side).shape[1:3] if case.shorter_side else None
            for _ in range(per_video):
                frames = random_clip(video.index.times, ClipSampling.of(case.sampling), float(generator.random()))
                # A video that is shorter than a clip begins again: what is read of it is every frame once.
                clips.append((str(path), np.unique(frames).tolist(), size and list(size)))
    return clips


def measure(
    paths: Sequence[Path], readers: Mapping[str, Path], *, rounds: int, per_video: int, cases: Sequence[Case] = CASES
) -> list[Figures]:
    """The figures of all readers, case by case.

    Args:
        paths: of the videos.
        readers: name of a reader -> the Python that runs it.
        rounds: passes that are timed.
        per_video: clips of every video.
        cases: what is read.

    Raises:
        worker.WorkerError: one of them failed; with what it said.
    """
    figures: list[Figures] = []
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(start_worker("video_decode_worker.py", name, python=python))
            for name, python in readers.items()
        }
        passes = stack.enter_context(tqdm(total=len(cases) * len(workers) * (rounds + 1), unit="pass", disable=None))
        for case in cases:
            clips = choose_clips(paths, case, per_video=per_video)

            def seconds(name: str, clips: Sequence[_Clip] = clips) -> float:
                passes.update()
                return float(workers[name].ask("seconds", clips=clips))

            for name in workers:
                seconds(name)  # Reads the files from the disk, and starts what starts once.
            samples = alternate({name: lambda name=name: seconds(name) for name in workers}, rounds=rounds)
            with tempfile.TemporaryDirectory() as folder:
                workers[REFERENCE].ask("save", clips=clips, folder=folder)
                for name, worker in workers.items():
                    differences = worker.ask("differences", clips=clips, folder=folder)
                    figures.append(Figures(name, case, len(clips), samples[name], differences))
    return figures


def our_python() -> Path:
    """The Python of this process."""
    return Path(sys.executable)
