"""SIGTERM and Ctrl-C, by which clusters and users ask a run to end: it ends after its step, and can be resumed."""

import os
import signal
from types import FrameType, TracebackType
from typing import Self


class PreemptedError(Exception):
    """The run was asked to end, and has left a checkpoint.

    Args:
        by_user: whether by Ctrl-C, and not by SIGTERM.
    """

    def __init__(self, *, by_user: bool = False) -> None:
        super().__init__()
        self.by_user = by_user


class Preemption:
    """Notes SIGTERM and Ctrl-C while it is entered, instead of ending the process.

    One that the process was started to ignore, as Ctrl-C is by what a script starts in the background, it ignores.

    `requested`: whether one of them came; `by_user`: whether it was Ctrl-C, which ends the process the second time.
    """

    def __init__(self) -> None:
        self.requested = False
        self.by_user = False

    def __enter__(self) -> Self:
        heard = [number for number in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if number == signal.SIGINT:
            self.by_user = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # A handler may interrupt another write to standard error, which a stream wouldn't bear.
            os.write(2, b"\nends after this step, with a checkpoint; Ctrl-C again ends at once\n")
