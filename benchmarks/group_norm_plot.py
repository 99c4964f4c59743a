"""What benchmarks/group_norm.py found, as a picture."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from group_norm_cases import DTYPES, LABELS, Mode, shape_name, work_name
from group_norm_measurements import Time
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from keras_gn.files import atomic_path

_COLOURS = {
    "keras_gn": "tab:red",
    "keras_bn": "tab:orange",
    "portable": "tab:blue",
    "native": "tab:green",
    "torch": "tab:purple",
    "jax": "tab:brown",
}
_MODES: tuple[Mode, ...] = ("plain", "xla")


def plot_times(times: Sequence[Time], path: Path) -> None:
    """Draws each contender's time by that of a copy, a row a shape; the line through a dot is the middle half."""
    shapes = list(dict.fromkeys(time.case.shape for time in times))
    height = 1.6 + 0.27 * len(shapes)
    figure = Figure(figsize=(17, 2 * height + 1), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    columns = list(product(_MODES, (False, True)))
    for row, dtype in zip(panels, DTYPES, strict=True):
        for axes, (mode, backward) in zip(row, columns, strict=True):
            chosen = [
                time
                for time in times
                if (time.contender.mode, time.case.dtype, time.case.backward) == (mode, dtype, backward)
            ]
            _draw(axes, chosen)
            axes.set_title(f"{'XLA' if mode == 'xla' else 'plain'}, {dtype}, {work_name(backward=backward)}")
        row[0].set_yticks(range(len(shapes)), [shape_name(shape) for shape in shapes])
    panels[0][0].invert_yaxis()
    for axes in panels[1]:
        axes.set_xlabel("time by that of a copy (less is better)")
    entries: dict[str, Artist] = {}
    for axes in panels.flat:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=len(entries))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw(axes: Axes, times: Sequence[Time]) -> None:
    copies = {time.case: time.seconds.median for time in times if time.contender.name == "copy"}
    rows = {case: row for row, case in enumerate(copies)}
    for name, colour in _COLOURS.items():
        own = [time for time in times if time.contender.name == name]
        if not own:
            continue
        medians, low, high = (
            [getattr(time.seconds, field) / copies[time.case] for time in own] for field in ("median", "low", "high")
        )
        positions = [rows[time.case] for time in own]
        axes.hlines(positions, low, high, color=colour, linewidth=2, alpha=0.5)
        axes.plot(medians, positions, "o", color=colour, markersize=5, label=LABELS[name])
    axes.axvline(1, color="black", linewidth=1, label=LABELS["copy"])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
