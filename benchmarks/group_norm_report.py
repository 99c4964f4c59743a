"""What benchmarks/group_norm.py found, as tables for the terminal."""

from collections.abc import Iterator, Sequence
from itertools import product

from group_norm_cases import DTYPES, LABELS, Contender, Mode, shape_name, work_name
from group_norm_checks import with_needed_bytes
from group_norm_measurements import Growth, Time
from tables import aligned
from timing import geometric_mean

_MODES: dict[Mode, str] = {"plain": "Plain", "xla": "XLA"}


def time_tables(times: Sequence[Time]) -> str:
    """A table for each mode, type and work: milliseconds, and the ratio to the copy."""
    tables = ["\nMilliseconds ± half the spread of the middle half of the samples; x: times the copy"]
    for mode, dtype, backward in product(_MODES, DTYPES, (False, True)):
        chosen = [
            time
            for time in times
            if (time.contender.mode, time.case.dtype, time.case.backward) == (mode, dtype, backward)
        ]
        title = f"\n{_MODES[mode]}, {dtype}, {work_name(backward=backward)}"
        tables.append("\n".join([title, *_time_rows(chosen)]))
    return "\n".join(tables) + "\n"


def core_table(times: Sequence[Time]) -> str:
    """One core against two; nothing if the native kernel is missing."""
    if not times:
        return ""
    rows = [["shape", "work", "one core", "two cores", "times as fast"]]
    seconds = {(time.case, time.cores): time.seconds for time in times}
    for case in dict.fromkeys(time.case for time in times):
        one, two = seconds[case, 1], seconds[case, 2]
        ratio = f"{one.median / two.median:.2f}"
        rows.append([shape_name(case.shape), case.work, one.in_milliseconds(), two.in_milliseconds(), ratio])
    return "\n".join(["\nNative kernel on one sample, float32, milliseconds", *aligned(rows)]) + "\n"


def memory_table(growths: Sequence[Growth]) -> str:
    """Peak memory besides x and dy."""
    rows = [["contender", "type", "MB", "y, dx and statistics, MB", "ratio"]]
    for growth, needed in with_needed_bytes(growths):
        ratio = f"{growth.growth_bytes / needed:.2f}"
        megabytes = [f"{size / 1e6:.1f}" for size in (growth.growth_bytes, needed)]
        rows.append([LABELS[growth.contender.name], growth.case.dtype, *megabytes, ratio])
    shape = shape_name(growths[0].case.shape) if growths else ""
    title = f"\nPeak memory of forward + backward besides x and dy, plain, {shape}"
    return "\n".join([title, *aligned(rows)]) + "\n"


def _time_rows(times: Sequence[Time]) -> Iterator[str]:
    contenders = list(dict.fromkeys(time.contender for time in times))
    found = {(time.contender, time.case): time.seconds for time in times}
    ratios: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    rows = [["shape", *(LABELS[contender.name] for contender in contenders)]]
    for case in dict.fromkeys(time.case for time in times):
        row = [shape_name(case.shape)]
        for contender in contenders:
            seconds = found[contender, case]
            ratios[contender].append(seconds.median / found[contenders[0], case].median)
            row.append(f"{seconds.in_milliseconds()} {ratios[contender][-1]:5.1f}x")
        rows.append(row)
    rows.append(["geometric mean", *(f"{geometric_mean(ratios[contender]):.1f}x" for contender in contenders)])
    return aligned(rows)
