"""One device, two mirrored replicas, and two and three workers end a training with the same weights and metrics.

    python benchmarks/replicas_agree.py
    python benchmarks/replicas_agree.py --steps 10 --arrangements one workers_2
    python benchmarks/replicas_agree.py --backend jax

Trains SimpleNet on the digits by train.py, each time in processes of their own: on one device, on two logical CPUs, and
by the launcher with two and three workers on this machine; with SGD, clipped gradients and two batches a step. On JAX
there are one device and two logical ones. Prints
how far the weights and the metrics of each are from those of one device, and exits with 1 where a weight differs by
more than 1e-4 of itself and 1e-5.

Sums in another order round otherwise, by 1e-8 here, and where a ReLU or the choice of a max pool hangs by less than
that, a step comes out otherwise, by thousands of times as much. Which step of which seed that hits depends on the CPU;
twelve images a step keep it rare. An arrangement that falls short with the first seed is tried with two more, and the
nearest counts: one that is wrong falls short with every seed, and none ends within 1e-4 by accident. Two minutes on two
cores, two more for each that falls short.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from checks import Check, report_checks
from tables import aligned

from zoo.training.checkpoint import newest_first

RELATIVE, ABSOLUTE = 1e-4, 1e-5
SEEDS = (0, 1, 2)
_ROOT = Path(__file__).resolve().parents[1]
_TWO_DEVICES = """
import sys
import tensorflow as tf
device = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [device, device])
from zoo.cli.train import main
sys.exit(main(sys.argv[1:]))
"""
_LAUNCH = ["-m", "zoo.training.launch", "--workers"]
ARRANGEMENTS: dict[str, list[str]] = {
    "one": ["train.py", "--strategy", "one"],
    "mirrored_2": ["-c", _TWO_DEVICES, "--strategy", "mirrored"],
    "workers_2": [*_LAUNCH, "2", "train.py", "--strategy", "multi_worker"],
    "workers_3": [*_LAUNCH, "3", "train.py", "--strategy", "multi_worker"],
}
ARRANGEMENTS_ON_JAX: dict[str, list[str]] = {
    "one": ["train.py", "--strategy", "one"],
    "mirrored_2": ["train.py", "--strategy", "mirrored"],
}
_TWO_DEVICES_ON_JAX = "--xla_force_host_platform_device_count=2"
# 6 images are a multiple of 1, 2 and 3. So few are left for training that 50 steps reach into a second epoch.
SETTINGS = (
    *("--model", "simplenet", "--norm", "gn:groups=4", "--dataset", "digits", "--image-size", "8"),
    *("--validation-fraction", "0.75"),
    *("--batch-size", "6", "--accumulate", "2", "--optimizer", "sgd", "--clip-norm", "1", "--learning-rate", "0.05"),
    *("--learning-rate-batch", "none"),
)


def train(arrangement: str, folder: Path, options: Sequence[str], backend: str = "tensorflow") -> None:
    """Trains in processes of their own, into `folder`.

    Raises:
        RuntimeError: The training failed; with the end of what it said.
    """
    arrangements = ARRANGEMENTS_ON_JAX if backend == "jax" else ARRANGEMENTS
    command = [sys.executable, *arrangements[arrangement], *SETTINGS, *options, "--output", str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    if backend == "jax" and arrangement != "one":
        environment["XLA_FLAGS"] = _TWO_DEVICES_ON_JAX
    if "zoo.training.launch" in command:
        command[command.index("train.py") : command.index("train.py")] = ["--logs", str(folder) + "-logs"]
    result = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{arrangement} ended with {result.returncode}:\n{result.stderr[-3000:]}")


def final_state(folder: Path) -> tuple[list[np.ndarray], pd.DataFrame]:
    """The variables of the newest checkpoint of a run, and its history."""
    with np.load(newest_first(folder / "checkpoints")[0] / "variables.npz") as stored:
        return [stored[name] for name in stored.files], pd.read_csv(folder / "history.csv")


def difference(values: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """The largest |value - reference| by what is allowed, 1e-5 + 1e-4 |reference|: good up to 1; NaN is not."""
    pairs = zip(values, references, strict=True)
    return float(np.max([np.max(np.abs(a - b) / (ABSOLUTE + RELATIVE * np.abs(b))) for a, b in pairs]))


@dataclass(frozen=True)
class Outcome:
    """How far one training of an arrangement ended from that on one device, by what is allowed."""

    arrangement: str
    seed: int
    weights: float
    metrics: float
    final: pd.Series

    @property
    def agrees(self) -> bool:
        return max(self.weights, self.metrics) <= 1


def measure(arrangements: Sequence[str], steps: int, seed: int, backend: str) -> list[Outcome]:
    """Trains with this seed on one device, and as each arrangement says."""
    outcomes = []
    with tempfile.TemporaryDirectory() as temporary:
        reference: tuple[list[np.ndarray], pd.DataFrame] | None = None
        for name in ("one", *(each for each in arrangements if each != "one")):
            train(name, Path(temporary) / name, ["--steps", str(steps), "--seed", str(seed)], backend)
            state, history = final_state(Path(temporary) / name)
            reference = reference or (state, history)
            of_weights = difference(state, reference[0])
            of_metrics = difference([history.to_numpy()], [reference[1].to_numpy()])
            outcomes.append(Outcome(name, seed, of_weights, of_metrics, history.iloc[-1]))
    return outcomes


def compare(arrangements: Sequence[str], steps: int, backend: str = "tensorflow") -> list[Check]:
    """Trains every arrangement, with further seeds where the first falls short, prints a table, and judges each."""
    outcomes = measure(arrangements, steps, SEEDS[0], backend)
    parted = [outcome.arrangement for outcome in outcomes if not outcome.agrees]
    for seed in SEEDS[1:] if parted else ():
        outcomes += measure(parted, steps, seed, backend)
    sys.stdout.write(table(outcomes))
    return [check for name in arrangements if name != "one" for check in judge(outcomes, name)]


def table(outcomes: Sequence[Outcome]) -> str:
    """A line an outcome."""
    rows = [["arrangement", "seed", "weights", "metrics", "final loss", "validation accuracy"]]
    for outcome in outcomes:
        found = (f"{outcome.weights:.3f}", f"{outcome.metrics:.3f}", f"{outcome.final['loss']:.6f}")
        rows.append([outcome.arrangement, str(outcome.seed), *found, f"{outcome.final['val_accuracy']:.4f}"])
    return "\n".join(aligned(rows)) + "\n"


def judge(outcomes: Sequence[Outcome], arrangement: str) -> list[Check]:
    """The nearest of the ends with the seeds that the arrangement was tried with."""
    tried = [outcome for outcome in outcomes if outcome.arrangement == arrangement]
    nearest = min(tried, key=lambda outcome: max(outcome.weights, outcome.metrics))
    return [
        Check(f"{arrangement}: weights, by what is allowed", nearest.weights, "at most", 1),
        Check(f"{arrangement}: metrics, by what is allowed", nearest.metrics, "at most", 1),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50, help="of the optimizer (%(default)s)")
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--arrangements", nargs="+", choices=ARRANGEMENTS, help="these only")
    arguments = parser.parse_args()
    possible = ARRANGEMENTS_ON_JAX if arguments.backend == "jax" else ARRANGEMENTS
    if set(arguments.arrangements or ()) - set(possible):
        parser.error(f"on {arguments.backend} the arrangements are {', '.join(possible)}")
    chosen = arguments.arrangements or list(possible)
    return report_checks(compare(chosen, arguments.steps, arguments.backend))


if __name__ == "__main__":
    raise SystemExit(main())
