"""The promises about group normalization's speed and memory, held against measurements. Pure functions."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from checks import Check
from group_norm_cases import DTYPES, Case, Mode, Shape, shape_name, work_name
from group_norm_measurements import Growth, Time
from timing import geometric_mean

_ITEM_BYTES = {"float32": 4, "bfloat16": 2}
_LARGE_BYTES = 3e6

# What the process takes besides, such as the stacks of threads, differs a little from run to run.
_MEMORY_TOLERANCE = 1.02

Ratios = dict[Shape, float]
_Extreme = Callable[..., Any]  # min or max


def time_checks(times: Sequence[Time]) -> list[Check]:
    """Of the contenders side by side, on all cores."""
    table = _Table(times)
    return [
        *_native_checks(table),
        *(_bfloat16_check(table, backward=backward) for backward in (False, True)),
        *_portable_checks(table),
    ]


def core_checks(times: Sequence[Time]) -> list[Check]:
    """Two cores against one, on one sample."""
    checks = []
    for backward in (False, True):
        one, two = (
            {
                time.case.shape: time.seconds.median
                for time in times
                if (time.cores, time.case.backward) == (cores, backward)
            }
            for cores in (1, 2)
        )
        name = f"native, {work_name(backward=backward)}, batch 1: times as fast on two cores as on one"
        checks.append(_mean_check(name, _divide(one, two), 1.6, worst=min))
    return checks


def memory_checks(growths: Sequence[Growth], *, contender: str = "native") -> list[Check]:
    """Peak memory over the inputs', by that of y, dx and the statistics."""
    ratios = {
        growth.case.dtype: growth.growth_bytes / needed
        for growth, needed in with_needed_bytes(growths)
        if growth.contender.name == contender
    }
    name = f"{contender}, forward + backward, {{}}: peak memory besides x and dy, by that of y, dx and statistics"
    return [Check(name.format(dtype), ratios.get(dtype), "at most", _MEMORY_TOLERANCE) for dtype in DTYPES]


def with_needed_bytes(growths: Sequence[Growth]) -> Iterator[tuple[Growth, int]]:
    """Each with the bytes of y and dx, as TensorFlow's allocator rounds them up for two copies, and the statistics."""
    copies = {growth.case: growth.growth_bytes for growth in growths if growth.contender.name == "copies"}
    for growth in growths:
        yield growth, copies[growth.case] + statistics_bytes(growth.case)


def statistics_bytes(case: Case) -> int:
    """Two float32 numbers a sample and channel.

    >>> statistics_bytes(Case((2, 10, 10, 64), "bfloat16", backward=True))
    1024
    """
    return 2 * 4 * case.shape[0] * case.shape[-1]


def tensor_bytes(case: Case) -> int:
    return math.prod(case.shape) * _ITEM_BYTES[case.dtype]


class _Table:
    """Median seconds by what was measured."""

    def __init__(self, times: Iterable[Time]) -> None:
        self._seconds = {
            (time.contender.name, time.contender.mode, time.case): time.seconds.median
            for time in times
            if time.cores is None
        }

    def seconds(self, name: str, mode: Mode, *, dtype: str, backward: bool) -> dict[Shape, float]:
        """By shape."""
        return {
            case.shape: seconds
            for (other, other_mode, case), seconds in self._seconds.items()
            if (other, other_mode, case.dtype, case.backward) == (name, mode, dtype, backward)
        }

    def ratios(self, above: str, below: str, mode: Mode = "plain", *, dtype: str, backward: bool) -> Ratios:
        """Time of `above` by that of `below`; empty where one of them is missing."""
        first, second = (self.seconds(name, mode, dtype=dtype, backward=backward) for name in (above, below))
        return _divide(first, second)


def _native_checks(table: _Table) -> list[Check]:
    name = "native, forward + backward, float32: times as fast as"
    gn, bn = (table.ratios(peer, "native", dtype="float32", backward=True) for peer in ("keras_gn", "keras_bn"))
    checks = [
        _mean_check(f"{name} Keras' GN", gn, 5.0, worst=min),
        _mean_check(f"{name} Keras' BN in training", bn, 2.5, worst=min),
    ]
    copies = table.seconds("copy", "plain", dtype="float32", backward=False)
    large = {shape for shape in copies if tensor_bytes(Case(shape, "float32", backward=False)) >= _LARGE_BYTES}
    if large:
        ratios = table.ratios("native", "copy", dtype="float32", backward=False)
        ratios = {shape: ratio for shape, ratio in ratios.items() if shape in large}
        name = "native, forward, float32, 3 MB and more: time by that of a copy"
        checks.append(_mean_check(name, ratios, 1.6, worst=max))
    return checks


def _bfloat16_check(table: _Table, *, backward: bool) -> Check:
    narrow, wide = (
        table.seconds("native", "plain", dtype=dtype, backward=backward) for dtype in ("bfloat16", "float32")
    )
    name = f"native, {work_name(backward=backward)}: time in bfloat16 by that in float32"
    return _mean_check(name, _divide(narrow, wide), 1.0, worst=max)


def _portable_checks(table: _Table) -> list[Check]:
    checks = []
    modes: tuple[Mode, ...] = ("plain", "xla")
    for dtype, mode in product(DTYPES, modes):
        forward, both = (
            table.ratios("keras_gn", "portable", mode, dtype=dtype, backward=backward) for backward in (False, True)
        )
        for work, ratios in ((work_name(backward=False), forward), (work_name(backward=True), both)):
            name = f"portable, {work}, {dtype}, {mode}: times as fast as Keras' GN"
            checks.append(_mean_check(name, ratios, 1.4, worst=min))
        slower = {shape: min(forward[shape], both[shape]) for shape in forward}
        name = f"portable, {dtype}, {mode}: never slower than Keras' GN, times as fast on its worst shape"
        checks.append(Check(name, min(slower.values(), default=None), "at least", 1.0, note=_worst(slower, min)))
    return checks


def _divide(above: dict[Shape, float], below: dict[Shape, float]) -> Ratios:
    """Over the shapes that both have; none where a contender is missing."""
    return {shape: seconds / below[shape] for shape, seconds in above.items() if shape in below}


def _mean_check(name: str, ratios: Ratios, bound: float, *, worst: _Extreme) -> Check:
    """On the geometric mean over the shapes; for `worst=min` it must be at least `bound`, for `max` at most."""
    figure = geometric_mean(ratios.values()) if ratios else None
    return Check(name, figure, "at least" if worst is min else "at most", bound, note=_worst(ratios, worst))


def _worst(ratios: Ratios, worst: _Extreme) -> str:
    if not ratios:
        return ""
    shape = worst(ratios, key=ratios.__getitem__)
    return f"worst {ratios[shape]:.2f} at {shape_name(shape)}"
