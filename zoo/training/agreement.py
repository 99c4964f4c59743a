"""Whether the run is to end, asked of all workers: each gets the same answer after the same step."""

import time

from zoo.training.distribute import Strategy, from_chief, has_several_workers, sum_over_workers
from zoo.training.preemption import Preemption

SECONDS = 1.0


class Agreement:
    """A SIGTERM to one worker ends all of them, after the same step.

    Workers that ask each other wait for each other, so several ask about once in `seconds` only. After how many steps
    they do it next, they agree on each time: as many as the chief expects in `seconds` by its pace since the last time.
    A single worker asks itself after every step.

    Args:
        strategy: whose workers agree; all of them call the same methods in the same order.
        preemption: says whether this worker was asked to end.
        seconds: between two questions, about.
    """

    def __init__(self, strategy: Strategy, preemption: Preemption, *, seconds: float = SECONDS) -> None:
        self._strategy = strategy
        self._preemption = preemption
        self._seconds = seconds
        self._steps = 0
        self._next = 1
        self._asked_at = time.monotonic()

    def ends_after_step(self) -> bool:
        """Counts a step; whether a worker was asked to end, as far as this is known after it."""
        if not has_several_workers(self._strategy):
            return self._preemption.requested
        self._steps += 1
        return self._steps >= self._next and self.ends_now()

    def ends_now(self) -> bool:
        """Whether a worker was asked to end, by now."""
        ends = sum_over_workers(self._strategy, int(self._preemption.requested)) > 0
        now = time.monotonic()
        pace = self._steps / (now - self._asked_at) if now > self._asked_at else 0.0
        self._next = from_chief(self._strategy, max(int(pace * self._seconds), 1))
        self._steps, self._asked_at = 0, now
        return ends

    def wait_for_all(self) -> None:
        """Returns when all workers are here."""
        sum_over_workers(self._strategy, 0)
