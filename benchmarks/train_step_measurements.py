"""The measurement of benchmarks/train_step.py: models in processes of their own, one step at a time, in turn."""

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from timing import Spread
from tqdm import tqdm
from train_step_cases import Contender, Scale
from worker import Worker, start_worker


@dataclass(frozen=True)
class Step:
    """What a contender takes.

    Args:
        contender: whose step it is.
        group: contenders of one group were measured in turn.
        train: seconds of a training step.
        predict: seconds of inference on a batch.
        peak_bytes: the most memory that the process ever held.
        xla: whether Keras compiled with XLA.
        kernel: of keras_gn; None for Keras' layers.
    """

    contender: Contender
    group: int
    train: Spread
    predict: Spread
    peak_bytes: int
    xla: bool
    kernel: str | None


def measure_steps(scale: Scale) -> tuple[list[Step], dict[str, str]]:
    """The steps of all contenders; and, by label, why some could not be measured."""
    steps: list[Step] = []
    problems: dict[str, str] = {}
    contenders = sum(len(group) for group in scale.groups)
    with tqdm(total=contenders * (scale.steps + 1), desc="measuring", unit="step") as progress:
        for number in range(len(scale.groups)):
            steps += _measure_group(scale, number, problems, progress)
    return steps, problems


def _measure_group(scale: Scale, number: int, problems: dict[str, str], progress: tqdm) -> list[Step]:
    with ExitStack() as stack:
        workers: dict[Contender, Worker] = {}
        facts = {}
        for contender in scale.groups[number]:
            worker = stack.enter_context(start_worker("train_step_worker.py", _request(contender, scale)))
            answer = worker.ask("prepare")
            progress.update()
            if "problem" in answer:
                problems[contender.label] = answer["problem"]
                progress.update(scale.steps)
            else:
                workers[contender], facts[contender] = worker, answer
        train: dict[Contender, list[float]] = {contender: [] for contender in workers}
        predict: dict[Contender, list[float]] = {contender: [] for contender in workers}
        for _ in range(scale.steps):
            for contender, worker in workers.items():
                train[contender].append(worker.ask("train_step"))
                predict[contender].append(worker.ask("predict_step"))
                progress.update()
        return [
            Step(
                contender,
                number,
                Spread.of(train[contender]),
                Spread.of(predict[contender]),
                worker.ask("peak_bytes"),
                **facts[contender],
            )
            for contender, worker in workers.items()
        ]


def _request(contender: Contender, scale: Scale) -> str:
    return json.dumps(
        {
            "contender": asdict(contender),
            "model": scale.model,
            "image_size": scale.image_size,
            "batch_size": scale.batch_size,
        }
    )
