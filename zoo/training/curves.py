"""The picture of a run."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_gn.files import atomic_path


def draw_curves(history: pd.DataFrame, path: Path, *, watch: str) -> None:
    """Draws the losses, the watched metric and the learning rate by epoch, as a PNG.

    Args:
        history: a row an epoch: `epoch`, `loss`, parts of it as `box_loss`, the metric, the same of the validation
            split as `val_loss`, and `learning_rate`. What is absent isn't drawn.
        path: the PNG to write.
        watch: the name of the metric.
    """
    parts = [name for name in history if name.endswith("_loss") and not name.startswith("val_")]
    panels = {
        "loss": {"loss": "training", "val_loss": "validation", **{name: name for name in parts}},
        watch.replace("_", " "): {watch: "training", f"val_{watch}": "validation"},
        "learning rate": {"learning_rate": None},
    }
    shown = {label: columns for label, columns in panels.items() if any(column in history for column in columns)}
    figure = Figure(figsize=(4 * len(shown), 3.6), layout="constrained")
    for axes, (label, columns) in zip(figure.subplots(1, len(shown), squeeze=False).flat, shown.items(), strict=True):
        for column, legend in columns.items():
            if column in history:
                axes.plot(history["epoch"], history[column], marker="o", markersize=3, label=legend)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_title(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
