"""Kills trainings at random moments, resumes them, and compares how they end with trainings that nobody killed.

    python benchmarks/fault_injection.py --trials 20
    python benchmarks/fault_injection.py --trials 3 --faults kill

Trains SimpleNet on the digits by train.py with a checkpoint every five steps. The faults: `kill` (SIGKILL of the
process, which is started again with --resume=if-begun), `terminate` (SIGTERM: it must end by itself, with a checkpoint
of its last step and status 75 if the training had begun), `worker` (SIGKILL of one of two workers, both of which
the launcher starts again), and `launcher` (SIGTERM to the launcher of two workers, which passes it on). Each trial
strikes once, at a moment drawn from the whole run, start-up included. Prints a table of the trials, and exits with 1 if
a run on one device doesn't end bit for bit like an undisturbed one, a run on two workers not within 1e-4, or if a
checkpoint was unreadable. About half a minute a trial on two cores.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from checks import Check, report_checks
from replicas_agree import ARRANGEMENTS, SETTINGS, difference, final_state
from tables import aligned
from tqdm import tqdm

from zoo.training.checkpoint import newest_first

_ROOT = Path(__file__).resolve().parents[1]
_OPTIONS = ("--epochs", "6", "--checkpoint-every", "5steps", "--resume=if-begun")


@dataclass(frozen=True)
class Trial:
    """One run and its fault.

    Args:
        fault: its name.
        moment: seconds after the start.
        step: of the newest checkpoint after the fault; None before the first.
        status: of the process that was struck.
        equal: whether all variables and the history are bit for bit those of the undisturbed run.
        difference: of the variables and of the history, by what is allowed; see replicas_agree.py.
        finished: whether the training had ended, so that the resume had none of its steps to do.
        unreadable: checkpoints that a resume had to skip.
    """

    fault: str
    moment: float
    step: int | None
    status: int
    equal: bool
    difference: float
    unreadable: int
    finished: bool

    @property
    def ended_as_documented(self) -> bool:
        """SIGTERM ends a training with status 75, and at once what comes before and after it; 0: it had ended."""
        if self.fault in ("kill", "worker"):
            return self.status in (-signal.SIGKILL, 0)
        outside = self.step is None or self.finished
        # The launcher's status for a worker that a signal ended is as a shell's.
        return self.status in (os.EX_TEMPFAIL, 0) or (
            outside and self.status in (-signal.SIGTERM, 128 + signal.SIGTERM)
        )


def start(arrangement: str, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Starts a training, or goes on with it; what it says is added to the log."""
    command = [sys.executable, *ARRANGEMENTS[arrangement], *SETTINGS, *_OPTIONS, "--output", str(folder)]
    if arrangement != "one":
        at = command.index("train.py")
        command[at:at] = ["--max-restarts", "2", "--logs", f"{folder}-logs"]
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=_ROOT, stdout=output, stderr=output)


def run_to_end(arrangement: str, folder: Path, log: Path) -> float:
    """Trains, or goes on; the seconds that it took.

    Raises:
        RuntimeError: The training failed; with the end of what it said.
    """
    began = time.perf_counter()
    status = start(arrangement, folder, log).wait()
    if status:
        raise RuntimeError(f"{arrangement} ended with {status}:\n{log.read_text(errors='replace')[-3000:]}")
    return time.perf_counter() - began


def strike_process(number: signal.Signals, arrangement: str = "one") -> Callable[[Path, Path, float], int]:
    """A signal to the process, or to the launcher, and a second start."""

    def strike(folder: Path, log: Path, moment: float) -> int:
        process = start(arrangement, folder, log)
        time.sleep(moment)
        process.send_signal(number)
        status = process.wait()
        run_to_end(arrangement, folder, log)
        return status

    return strike


def strike_worker(folder: Path, log: Path, moment: float) -> int:
    """A fault of a run on two workers: one is killed, and the launcher starts both again."""
    launcher = start("workers_2", folder, log)
    time.sleep(moment)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    if workers:  # it hasn't ended yet
        os.kill(int(random.Random(moment).choice(workers)), signal.SIGKILL)
    if launcher.wait():
        raise RuntimeError(f"the launcher ended with {launcher.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
    return -signal.SIGKILL if workers else 0


FAULTS: dict[str, tuple[str, Callable[[Path, Path, float], int]]] = {
    "kill": ("one", strike_process(signal.SIGKILL)),
    "terminate": ("one", strike_process(signal.SIGTERM)),
    "worker": ("workers_2", strike_worker),
    "launcher": ("workers_2", strike_process(signal.SIGTERM, "workers_2")),
}


def strike(fault: str, root: Path, reference: Path, longest: float, *, seed: int) -> Trial:
    """One trial, in a folder of its own."""
    moment = random.Random(seed).uniform(0.1, 0.9) * longest
    folder, log = root / f"{fault}-{seed}", root / f"{fault}-{seed}.log"
    status = FAULTS[fault][1](folder, log, moment)
    kept = log.read_text(errors="replace")
    (values, history), (expected, expected_history) = final_state(folder), final_state(reference)
    equal = all(np.array_equal(a, b) for a, b in zip(values, expected, strict=True)) and history.equals(
        expected_history
    )
    step, last = _step_resumed(kept), _step(newest_first(reference / "checkpoints")[0])
    return Trial(
        fault=fault,
        moment=moment,
        step=step,
        status=status,
        equal=equal,
        difference=difference([*values, history.to_numpy()], [*expected, expected_history.to_numpy()]),
        unreadable=kept.count("skipped the unreadable checkpoint"),
        finished=step == last,
    )


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step_"))


def _step_resumed(log: str) -> int | None:
    steps = [int(line.rpartition(" ")[2]) for line in log.splitlines() if "goes on after step" in line]
    return steps[-1] if steps else None


def run_trials(faults: Sequence[str], trials: int, root: Path) -> list[Trial]:
    """The trials in turn, each fault against an undisturbed run of its arrangement."""
    references: dict[str, tuple[Path, float]] = {}
    for arrangement in {FAULTS[fault][0] for fault in faults}:
        folder = root / arrangement
        references[arrangement] = folder, run_to_end(arrangement, folder, root / f"{arrangement}.log")
    found = []
    for seed in tqdm(range(trials), desc="trials", unit="trial"):
        fault = faults[seed % len(faults)]
        reference, longest = references[FAULTS[fault][0]]
        found.append(strike(fault, root, reference, longest, seed=seed))
    return found


def table(trials: Sequence[Trial]) -> str:
    """A row a trial."""
    rows = [["fault", "after, s", "status", "resumed after step", "bit for bit", "difference", "unreadable"]]
    rows += [
        [
            trial.fault,
            f"{trial.moment:.1f}",
            str(trial.status),
            "-" if trial.step is None else str(trial.step),
            "yes" if trial.equal else "no",
            f"{trial.difference:.3f}",
            str(trial.unreadable),
        ]
        for trial in trials
    ]
    return "\n".join(aligned(rows)) + "\n"


def checks(trials: Sequence[Trial]) -> list[Check]:
    """What every trial must fulfil."""
    alone = [trial for trial in trials if FAULTS[trial.fault][0] == "one"]
    several = [trial for trial in trials if FAULTS[trial.fault][0] != "one"]

    def within(trial: Trial) -> bool:
        return trial.step is not None and not trial.finished

    undocumented = sum(not trial.ended_as_documented for trial in trials)
    found = [
        Check("unreadable checkpoints", sum(trial.unreadable for trial in trials), "at most", 0),
        Check("statuses that aren't documented", undocumented, "at most", 0),
        # Without it, runs that all started anew would pass, for the same training ends with the same bits.
        Check("trials that went on within the training", sum(map(within, trials)), "at least", len(trials) // 4),
    ]
    if alone:
        found.append(Check("runs on one device that differ in a bit", sum(not t.equal for t in alone), "at most", 0))
    if several:
        worst = max(trial.difference for trial in several)
        found.append(Check("runs on two workers: difference by what is allowed", worst, "at most", 1))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="%(default)s")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), help="these only, in turn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        trials = run_trials(arguments.faults, arguments.trials, Path(temporary))
    sys.stdout.write(table(trials))
    return report_checks(checks(trials))


if __name__ == "__main__":
    raise SystemExit(main())
