"""The measurement of benchmarks/scaling.py: one worker and two workers in turn, each on a core of its own."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scaling_cases import Case, Scale
from timing import Spread
from tqdm import tqdm

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    """What a case takes; in seconds but for `agreement`.

    Args:
        case: whose steps they are.
        one: a step of one worker with the batch of one.
        one_with_all: a step of one worker with the batch of two.
        two: a step of two workers, each with the batch of one.
        without: the same without the sum of the gradients.
        all_reduce: the sum of as many bytes alone.
        question: the workers' sum of one number.
        agreement: the share of a training that the workers' agreement about SIGTERM takes.
        save: for how long a checkpoint of one worker's training holds it up.
        write: for how long its thread writes it.
    """

    case: Case
    one: Spread
    one_with_all: Spread
    two: Spread
    without: Spread
    all_reduce: Spread
    question: Spread
    agreement: Spread
    save: Spread
    write: Spread


def measure_cases(scale: Scale) -> list[Measured]:
    """Every case.

    Raises:
        RuntimeError: a worker failed; with the end of what it said.
    """
    ones = [_job(case, images) for case in scale.cases for images in (case.batch, 2 * case.batch)]
    twos = [_job(case, 2 * case.batch) for case in scale.cases]
    samples: dict[tuple[int, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tqdm(total=2 * scale.rounds, desc="measuring", unit="start") as progress:
        for _ in range(scale.rounds):
            for workers, jobs in ((1, ones), (2, twos)):
                for answer in _train(workers, jobs, scale):
                    for number, found in enumerate(answer):
                        for name, values in found.items():
                            samples[workers, number][name] += values
                progress.update()
    return [
        _measured(case, samples[1, 2 * number], samples[1, 2 * number + 1], samples[2, number])
        for number, case in enumerate(scale.cases)
    ]


def _measured(
    case: Case,
    one: Mapping[str, Sequence[float]],
    one_with_all: Mapping[str, Sequence[float]],
    two: Mapping[str, Sequence[float]],
) -> Measured:
    names = ("without", "all_reduce", "question", "agreement")
    return Measured(
        case,
        one=Spread.of(one["step"]),
        one_with_all=Spread.of(one_with_all["step"]),
        two=Spread.of(two["step"]),
        save=Spread.of(one["save"]),
        write=Spread.of(one["write"]),
        **{name: Spread.of(two[name]) for name in names},
    )


def _job(case: Case, images: int) -> dict[str, Any]:
    return {**asdict(case), "images": images}


def _train(workers: int, jobs: Sequence[Mapping[str, Any]], scale: Scale) -> list[list[dict[str, list[float]]]]:
    """What each of the workers measured of each job."""
    request = {"jobs": jobs, "steps": scale.steps, "agreement_seconds": scale.agreement_seconds}
    with tempfile.TemporaryDirectory() as temporary:
        launcher = [sys.executable, "-m", "zoo.training.launch", "--workers", str(workers), "--logs", temporary]
        script = [str(_FOLDER / "scaling_worker.py"), json.dumps(request), temporary]
        ended = subprocess.run([*launcher, *script], cwd=_FOLDER.parent, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError(f"{workers} workers ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
        files = [Path(temporary) / f"worker_{index}.json" for index in range(workers)]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]
