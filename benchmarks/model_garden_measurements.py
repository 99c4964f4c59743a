"""The measurement of benchmarks/model_garden.py: two processes a case, one step at a time, in turn."""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_garden_cases import Case, Scale
from timing import Spread, alternate
from tqdm import tqdm
from worker import start_worker


@dataclass(frozen=True)
class Side:
    """Who is measured.

    Args:
        name: for the table.
        script: the worker, beside this file.
        python: the interpreter that runs it.
    """

    name: str
    script: str
    python: Path = Path(sys.executable)


OURS = Side("keras_gn, GN", "model_garden_worker.py")


@dataclass(frozen=True)
class Figures:
    """What one side takes for one case.

    Args:
        side: its name.
        case: what was timed.
        seconds: of a step.
        memory: bytes: the most that the process ever held, less what it held after its imports.
        facts: its parameters, and what the work led to.
    """

    side: str
    case: Case
    seconds: Spread
    memory: int
    facts: Mapping[str, Any]

    @property
    def images_per_second(self) -> float:
        return self.case.batch_size / self.seconds.median


def measure(scale: Scale, sides: tuple[Side, ...]) -> list[Figures]:
    """The figures of all sides, case by case.

    Raises:
        worker.WorkerError: one of them failed; with what it said.
    """
    figures: list[Figures] = []
    with tqdm(total=len(scale.cases) * len(sides) * (scale.rounds + 1), desc="measuring", unit="step") as progress:
        for case in scale.cases:
            figures += _measure_case(scale, case, sides, progress)
    return figures


def _measure_case(scale: Scale, case: Case, sides: tuple[Side, ...], progress: tqdm) -> list[Figures]:
    request = json.dumps(
        {**asdict(case), "image_size": scale.image_size, "model": scale.model, "options": dict(scale.options)}
    )
    with ExitStack() as stack:
        workers, facts = {}, {}
        for side in sides:
            worker = stack.enter_context(start_worker(side.script, request, python=side.python))
            facts[side] = worker.ask("prepare")
            workers[side] = worker
            progress.update()

        def step(side: Side) -> float:
            seconds = workers[side].ask("step")
            progress.update()
            return seconds

        samples = alternate({side: lambda side=side: step(side) for side in sides}, rounds=scale.rounds)
        return [
            Figures(side.name, case, Spread.of(samples[side]), workers[side].ask("memory"), facts[side])
            for side in sides
        ]
