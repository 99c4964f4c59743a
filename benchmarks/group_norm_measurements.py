"""The three measurements of benchmarks/group_norm.py: times side by side, one core against two, peak memory."""

import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from group_norm_cases import CONTENDERS, DTYPES, Case, Contender, Scale, cases, core_cases
from timing import Spread, alternate
from tqdm import tqdm
from worker import Worker, start_worker

_SCRIPT = "group_norm_worker.py"


@dataclass(frozen=True)
class Time:
    """Seconds that a contender takes for a case; `cores` where not all were used."""

    contender: Contender
    case: Case
    seconds: Spread
    cores: int | None = None


@dataclass(frozen=True)
class Growth:
    """By how many bytes a forward and backward pass of a contender adds to the memory of its inputs, x and dy."""

    contender: Contender
    case: Case
    growth_bytes: int


def missing_contenders() -> dict[str, str]:
    """Contender name -> why it can't be measured here."""
    missing = {
        contender.name: "not installed"
        for contender in CONTENDERS
        if importlib.util.find_spec(contender.backend) is None
    }
    with start_worker(_SCRIPT, "tensorflow") as worker:
        problem = worker.ask("kernel_problem", name="native")
    return missing | ({"native": problem} if problem else {})


def measure_times(scale: Scale, contenders: Sequence[Contender], progress: tqdm) -> list[Time]:
    """Each contender on each case: a process a library, and the contenders take turns within each round."""
    times = []
    with ExitStack() as stack:
        backends = {contender.backend for contender in contenders}
        workers = {
            backend: stack.enter_context(start_worker(_SCRIPT, backend, backend=backend)) for backend in backends
        }
        for case in cases(scale.shapes):
            lanes = {contender: workers[contender.backend] for contender in contenders}
            times += _side_by_side(case, lanes, scale, progress)
    return times


def measure_cores(scale: Scale, progress: tqdm) -> list[Time]:
    """The native kernel on one sample, with one thread of TensorFlow and with two, in turn."""
    contender = Contender("native", "plain")
    times = []
    with ExitStack() as stack:
        workers = {
            cores: stack.enter_context(start_worker(_SCRIPT, "tensorflow", "--threads", str(cores))) for cores in (1, 2)
        }
        for case in core_cases(scale.shapes):
            samplers = {cores: _prepared(worker, contender, case, scale) for cores, worker in workers.items()}
            for cores, samples in alternate(samplers, rounds=scale.rounds).items():
                times.append(Time(contender, case, Spread.of(samples), cores=cores))
                workers[cores].ask("release")
            progress.update()
    return times


def measure_memory(scale: Scale, contenders: Sequence[Contender], progress: tqdm) -> list[Growth]:
    """Forward and backward on one large tensor, a fresh process each."""
    growths = []
    for contender, case in memory_runs(scale, contenders):
        with start_worker(_SCRIPT, "tensorflow") as worker:
            growth = worker.ask("peak_growth", contender=asdict(contender), case=asdict(case))
        growths.append(Growth(contender, case, growth))
        progress.update()
    return growths


def memory_runs(scale: Scale, contenders: Sequence[Contender]) -> list[tuple[Contender, Case]]:
    """Which contenders on which tensors; the copies, which the others are measured by, always."""
    names = {"copies", *(contender.name for contender in contenders)}
    return [
        (Contender(name, "plain"), Case(scale.memory_shape, dtype, backward=True))
        for name in scale.memory_contenders
        if name in names
        for dtype in DTYPES
    ]


def _side_by_side(case: Case, lanes: dict[Contender, Worker], scale: Scale, progress: tqdm) -> list[Time]:
    samplers = {}
    for contender, worker in lanes.items():
        samplers[contender] = _prepared(worker, contender, case, scale)
        progress.update()
    samples = alternate(samplers, rounds=scale.rounds)
    for worker in set(lanes.values()):
        worker.ask("release")
    return [Time(contender, case, Spread.of(samples[contender])) for contender in lanes]


def _prepared(worker: Worker, contender: Contender, case: Case, scale: Scale) -> Any:
    """A function that takes one sample."""
    fields = asdict(contender)
    worker.ask("prepare", contender=fields, case=asdict(case), sample_seconds=scale.sample_seconds)
    return partial(worker.ask, "sample", contender=fields)
