"""What benchmarks/train_step.py found, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from timing import Spread
from train_step_measurements import Step

from keras_gn.files import atomic_path

_COLOURS = {"gn": "tab:green", "keras_gn": "tab:red", "bn": "tab:orange"}


def plot_steps(steps: Sequence[Step], path: Path, *, title: str) -> None:
    """Draws training step, inference and peak memory of each contender as bars; the black line is the middle half."""
    figure = Figure(figsize=(14, 1.6 + 0.4 * len(steps)), layout="constrained")
    train, predict, memory = figure.subplots(1, 3, sharey=True)
    # A gap between the groups: what stands together was measured in turn.
    rows = [number + 0.6 * step.group for number, step in enumerate(steps)]
    colours = [_COLOURS[step.contender.norm] for step in steps]
    _draw_times(train, rows, [step.train for step in steps], colours)
    train.set_title("training step, s")
    _draw_times(predict, rows, [step.predict for step in steps], colours)
    predict.set_title("inference, s")
    bars = memory.barh(rows, [step.peak_bytes / 1e9 for step in steps], color=colours)
    memory.bar_label(bars, fmt="%.2f", padding=4)
    memory.set_title("peak memory, GB")
    train.set_yticks(rows, [_label(step) for step in steps])
    train.invert_yaxis()
    for axes in (train, predict, memory):
        axes.margins(x=0.25)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    figure.suptitle(f"{title} (less is better)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw_times(axes: Axes, rows: Sequence[float], spreads: Sequence[Spread], colours: Sequence[str]) -> None:
    errors = [
        [spread.median - spread.low for spread in spreads],
        [spread.high - spread.median for spread in spreads],
    ]
    bars = axes.barh(rows, [spread.median for spread in spreads], xerr=errors, color=colours)
    axes.bar_label(bars, fmt="%.3g", padding=4)


def _label(step: Step) -> str:
    chosen = f" ({'XLA' if step.xla else 'plain'})" if step.contender.compile == "default" else ""
    return step.contender.label + chosen
