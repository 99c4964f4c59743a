"""What benchmarks/convert_applications.py does with a model, as its parent process sees it."""

from dataclasses import dataclass
from typing import Any

from tqdm import tqdm
from worker import WorkerError, start_worker

# Requests to convert_applications_worker.py, in order.
STEPS = ("build", "convert", "time", "forward", "train", "reload", "export")


@dataclass(frozen=True)
class Conversion:
    """What became of one model.

    Args:
        name: of its builder.
        input_shape: of the images.
        batch_norms: how many it held; this and all figures are 0 if it couldn't even be built.
        kept: how many the report lists as kept.
        parameters: of the model with batch normalization.
        build_seconds, convert_seconds: to build and to convert it; None if one of these failed.
        problems: what was found wrong, each as `step: what`.
    """

    name: str
    input_shape: tuple[int, ...]
    batch_norms: int
    kept: int
    parameters: int
    build_seconds: float | None
    convert_seconds: float | None
    problems: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """The seconds of the conversion by those of the building."""
        if self.build_seconds is None or self.convert_seconds is None:
            return None
        return self.convert_seconds / self.build_seconds


def convert_application(name: str, progress: tqdm) -> Conversion | None:
    """Takes the model through all steps, in a process of its own; None if it has no BatchNormalization."""
    facts: dict[str, Any] = {
        "input_shape": (0, 0, 0),
        "batch_norms": 0,
        "kept": 0,
        "parameters": 0,
        "build_seconds": None,
        "convert_seconds": None,
    }
    problems: list[str] = []
    done = 0
    with start_worker("convert_applications_worker.py", name) as worker:
        for step in STEPS:
            progress.set_postfix_str(f"{name}: {step}")
            try:
                answer = worker.ask(step)
            except WorkerError as error:
                problems.append(f"{step}: {str(error).strip().splitlines()[-1]}")
                break
            problems += [f"{step}: {problem}" for problem in answer.pop("problems", ())]
            facts |= answer
            progress.update()
            done += 1
            if not facts["batch_norms"]:
                break
    progress.update(len(STEPS) - done)
    if not facts["batch_norms"] and not problems:
        return None
    shape = tuple(facts.pop("input_shape"))
    return Conversion(name=name, input_shape=shape, problems=tuple(problems), **facts)
