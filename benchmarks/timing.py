"""Samples of a duration, and what they say: the median, its spread, and means of ratios."""

import math
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Spread:
    """The median of the samples, and the quartiles on both sides of it; in their unit."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """The spread of one sample or more.

        >>> Spread.of([5.0, 1.0, 2.0, 3.0, 4.0])
        Spread(median=3.0, low=2.0, high=4.0)
        """
        low, median, high = (float(value) for value in np.quantile(samples, [0.25, 0.5, 0.75]))
        return cls(median=median, low=low, high=high)

    def in_milliseconds(self) -> str:
        """For a table; of a duration in seconds.

        >>> Spread(median=0.0123, low=0.0120, high=0.0130).in_milliseconds()
        '12.30 ±4%'
        """
        return f"{1e3 * self.median:.2f} ±{(self.high - self.low) / 2 / self.median:.0%}"


class Sampler:
    """Calling it gives one sample: the seconds a call takes, over as many calls as last `seconds` together.

    Args:
        run: Does `calls` calls and returns when all are over.
        seconds: What a sample lasts at least.
    """

    def __init__(self, run: Callable[[int], None], *, seconds: float) -> None:
        self._run = run
        self._calls = 1
        run(1)  # Compiles, and touches the memory for the first time.
        # Three times, since one hiccup of the machine must not leave it at too few calls.
        while not all(self() * self._calls >= seconds for _ in range(3)):
            self._calls *= 2

    def __call__(self) -> float:
        start = time.perf_counter()
        self._run(self._calls)
        return (time.perf_counter() - start) / self._calls


def alternate(samplers: Mapping[Key, Callable[[], float]], *, rounds: int) -> dict[Key, list[float]]:
    """One sample of each in every round, so that a drift of the machine hits all of them alike.

    >>> alternate({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=2)
    {'a': [1.0, 1.0], 'b': [2.0, 2.0]}
    """
    samples: dict[Key, list[float]] = {key: [] for key in samplers}
    for _ in range(rounds):
        for key, sampler in samplers.items():
            samples[key].append(sampler())
    return samples


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios: that of a ratio and its inverse is 1.

    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    return math.exp(statistics.fmean(math.log(value) for value in values))
