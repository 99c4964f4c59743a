"""The processes of the launcher: started with addresses of their own, signalled, ended without remains."""

import contextlib
import ctypes
import datetime
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

LAUNCHER = "KERAS_GN_LAUNCHER"
"""The environment variable that tells workers by which command line, up to their script, they were started."""

POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Worker:
    """A started worker; what the chief (index 0) writes goes to the terminal, so it has no `log`."""

    index: int
    process: subprocess.Popen[bytes]
    log: Path | None
    log_start: int

    @property
    def name(self) -> str:
        return f"worker {self.index} (pid {self.process.pid})"

    @property
    def status(self) -> int | None:
        """None while it runs, then its exit status, which is 128 + N when the signal N killed it, as shells say it."""
        code = self.process.poll()
        return None if code is None else _shell_status(code)

    def last_lines(self, count: int = 20) -> str:
        """The end of what it wrote since its start."""
        if self.log is None:
            return ""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self.log_start, size - 20_000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])

    def kill(self) -> int:
        """Ends it, where it still runs, and whatever it started itself; returns its status."""
        # The group outlives its leader where that left processes behind; PermissionError is macOS' word for a zombie.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return _shell_status(self.process.wait())


def _shell_status(code: int) -> int:
    return 128 - code if code < 0 else code


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nothing listens on; another process may still take one before it is used.

    >>> len(set(free_ports(3)))
    3
    """
    with contextlib.ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in opened]


@contextlib.contextmanager
def started(command: Sequence[str], *, workers: int, logs: Path) -> Iterator[list[Worker]]:
    """`workers` processes that run `command`; on leaving, none of them is left, whatever happened."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    running: list[Worker] = []
    try:
        for index in range(workers):
            running.append(_start(command, index=index, addresses=addresses, logs=logs))
        logger.info("workers at %s", ", ".join(addresses))
        yield running
    finally:
        for worker in running:
            worker.kill()


def _start(command: Sequence[str], *, index: int, addresses: Sequence[str], logs: Path) -> Worker:
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(cluster)}

    def process(stdin: int | None = None, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=output,
            # A session of its own: Ctrl-C of the terminal reaches the launcher only, which forwards it once.
            start_new_session=True,
            preexec_fn=_dying_with_its_parent(),
        )

    if index == 0:
        return Worker(index, process(), None, 0)
    log = logs / f"worker_{index}.log"
    with log.open("ab") as output:
        log_start = output.tell()
        now = datetime.datetime.now().isoformat(" ", "seconds")
        output.write(f"--- {now} worker {index} of {len(addresses)} starts at {addresses[index]}\n".encode())
        output.flush()
        return Worker(index, process(subprocess.DEVNULL, output), log, log_start)


def _dying_with_its_parent() -> Callable[[], None] | None:
    """What a child calls before it becomes the worker: on Linux, kill -9 of the launcher kills the worker as well."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        if os.getppid() != parent:  # it died before the call
            os._exit(128 + signal.SIGKILL)

    return set_death_signal


class ReceivedSignals:
    """SIGINT, SIGTERM and SIGHUP that this process gets while the context is open, in order.

    A handler may interrupt any line, so it only takes note; whoever waits for the workers forwards.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._forwarded = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "ReceivedSignals":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_IGN:
                continue  # as SIGHUP by nohup
            self._previous[number] = signal.signal(number, lambda received, _: self.numbers.append(received))
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def forward(self, workers: Sequence[Worker]) -> None:
        """Sends what came since the last call to the workers that run; a closed terminal's SIGHUP as SIGTERM."""
        new = self.numbers[self._forwarded :]
        self._forwarded += len(new)
        for number in new:
            logger.info("%s goes to all workers", signal.Signals(number).name)
            for worker in workers:
                worker.process.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)


def wait(workers: Sequence[Worker], *, seconds: float, meanwhile: Callable[[], None]) -> None:
    """Until all `workers` have ended, at most `seconds`; calls `meanwhile` at least once."""
    deadline = time.monotonic() + seconds
    meanwhile()
    while any(worker.status is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        meanwhile()
