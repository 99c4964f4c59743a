"""SIGTERM, by which clusters and users ask a run to end soon: it ends after its step, and can be resumed."""

import signal
from types import FrameType, TracebackType
from typing import Self


class PreemptedError(Exception):
    """The run was asked to end, and has left a checkpoint."""


class Preemption:
    """Notes a SIGTERM while it is entered, as often as it comes, instead of ending the process."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
