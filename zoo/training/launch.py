"""Starts the workers of a multi-worker training on this machine, and ends or restarts them together.

`python -m zoo.training.launch --workers 2 --max-restarts 3 train.py --strategy multi_worker --output runs/first`

Exit status: 0 when all workers ended with 0. After SIGINT or SIGTERM, which all workers get: the chief's if that is 0
or 75, otherwise 130 for SIGINT. In all other cases that of the worker that failed first, 128 + N where the signal N
killed it. 75 (EX_TEMPFAIL) means: preempted, a checkpoint is written, run me again.
"""

import argparse
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import UserError
from zoo.training.launch_workers import LAUNCHER, POLL_SECONDS, ReceivedSignals, Worker, started, wait

logger = logging.getLogger(__name__)

PREEMPTED = os.EX_TEMPFAIL
BAD_INPUT = 2
INTERRUPTED = 128 + signal.SIGINT
# For workers of which nothing is expected any more: one that waits for a dead peer can't react to SIGTERM.
SHORT_GRACE_SECONDS = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and runs the workers; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="launch: %(message)s", stream=sys.stderr)
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(given)
    own = given[: len(given) - len(arguments.arguments) - 1]
    os.environ[LAUNCHER] = shlex.join(["python", "-m", "zoo.training.launch", *own])
    try:
        _check(arguments)
        return launch(
            [sys.executable, arguments.script, *arguments.arguments],
            workers=arguments.workers,
            max_restarts=arguments.max_restarts,
            logs=arguments.logs,
            grace=arguments.grace,
        )
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
    except OSError as error:
        sys.stderr.write(f"error: Could not start the workers: {error}. Choose another folder for --logs?\n")
    return BAD_INPUT


def launch(command: Sequence[str], *, workers: int, max_restarts: int, logs: Path, grace: float) -> int:
    """Runs `command` in `workers` processes until all end with 0, no restart is left or a signal stops them.

    Args:
        command: program and arguments; a restart adds `--resume=if-begun` unless a `--resume` is among them.
        workers: number of processes; each finds its place in its environment variable TF_CONFIG.
        max_restarts: how often all are started again after one failed.
        logs: folder of `worker_1.log` and so on; the chief, worker 0, writes to the terminal.
        grace: seconds that the chief gets to write a checkpoint after a signal.

    Returns:
        The exit status; the module's docstring has its meaning.
    """
    logs.mkdir(parents=True, exist_ok=True)
    logger.info("worker 0 writes to this terminal, worker N to %s", logs / "worker_N.log")
    restart = 0
    with ReceivedSignals() as signals:
        while True:
            with started(command, workers=workers, logs=logs) as running:
                status = _run(running, signals, grace=grace)
            if status in (0, BAD_INPUT) or signals.numbers or restart == max_restarts:
                return status
            restart += 1
            logger.warning("restart %d of at most %d", restart, max_restarts)
            if not any(argument.startswith("--resume") for argument in command):
                command = [*command, "--resume=if-begun"]


def _run(workers: Sequence[Worker], signals: ReceivedSignals, *, grace: float) -> int:
    """Waits for the workers' end, which one failure or a signal brings about for all of them."""
    while not signals.numbers:
        statuses = {worker: worker.status for worker in workers}
        failed = {worker: status for worker, status in statuses.items() if status}
        if failed:
            # Of several at once, the one with the highest status, which a signal killed, brought the others down.
            worker, status = max(failed.items(), key=lambda item: item[1])
            _report(worker, status)
            _end_after_failure(status, workers, signals, grace=grace)
            return status
        if None not in statuses.values():
            return 0
        time.sleep(POLL_SECONDS)
    chief_status, *_ = _end(workers, signals, chief_grace=grace, grace=min(grace, SHORT_GRACE_SECONDS))
    if chief_status not in (0, PREEMPTED) and signals.numbers[0] == signal.SIGINT:
        return INTERRUPTED
    return chief_status


def _report(worker: Worker, status: int) -> None:
    logger.error("%s ended with status %d%s", worker.name, status, _meaning(status))
    if lines := worker.last_lines():
        logger.error("the end of %s:\n%s", worker.log, lines)


def _end_after_failure(status: int, workers: Sequence[Worker], signals: ReceivedSignals, *, grace: float) -> None:
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
    # A preempted worker's chief may be writing the checkpoint.
    chief_grace = grace if status == PREEMPTED else 0
    _end(workers, signals, chief_grace=chief_grace, grace=min(grace, SHORT_GRACE_SECONDS))


def _end(workers: Sequence[Worker], signals: ReceivedSignals, *, chief_grace: float, grace: float) -> list[int]:
    """Waits for workers that were told to end, for the chief at least `chief_grace`, then kills those that are left.

    Returns their statuses.
    """

    def forward() -> None:
        signals.forward(workers)

    wait(workers[:1], seconds=chief_grace, meanwhile=forward)
    wait(workers, seconds=grace, meanwhile=forward)
    for worker in workers:
        if worker.status is None:
            logger.warning("%s did not end in time and is killed", worker.name)
    return [worker.kill() for worker in workers]


def _meaning(status: int) -> str:
    if status == PREEMPTED:
        return " (preempted, with a checkpoint)"
    try:
        return f" ({signal.Signals(status - 128).name})"
    except ValueError:
        return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m zoo.training.launch",
        description="Starts the workers of a multi-worker training on this machine.",
        epilog="These options come before the script: what follows it is passed on to it. "
        "docs/clusters.md tells how to train on several machines.",
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=int, required=True, help="number of processes")
    parser.add_argument(
        "--max-restarts",
        type=int,
        default=0,
        help="starts of all workers after one failed or was preempted (default: 0)",
    )
    parser.add_argument("--logs", type=Path, default=Path("runs/logs"), help="folder (default: %(default)s)")
    parser.add_argument("--grace", type=float, default=60.0, help="seconds for a last checkpoint (default: 60)")
    parser.add_argument("script", help="the Python program that all workers run, as train.py")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    return parser


def _check(arguments: argparse.Namespace) -> None:
    if arguments.workers < 1:
        raise UserError(f"`workers` must be at least 1. Received: workers={arguments.workers}. Choose 2, say.")
    if arguments.max_restarts < 0:
        raise UserError(
            f"`max_restarts` must be at least 0. Received: max_restarts={arguments.max_restarts}. Leave it out."
        )
    if not arguments.grace >= 0:  # NaN as well
        raise UserError(f"`grace` must be at least 0 seconds. Received: grace={arguments.grace}. Leave it out for 60.")
    if not Path(arguments.script).is_file():
        raise UserError(
            f"`script` must be a Python file. Received: script={arguments.script!r}, which is none. The launcher's own "
            "options come before it, its arguments behind."
        )


if __name__ == "__main__":
    sys.exit(main())
