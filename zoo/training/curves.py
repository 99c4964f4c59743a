"""The picture of a run."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_gn.files import atomic_path


def draw_curves(history: pd.DataFrame, path: Path) -> None:
    """Draws loss, accuracy and learning rate by epoch, training and validation together, as a PNG.

    Args:
        history: a row an epoch: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate`;
            the validation columns may be absent.
        path: the PNG to write.
    """
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 3), _PANELS.items(), strict=True):
        for column, legend in ((name, "training"), (f"val_{name}", "validation")):
            if column in history:
                axes.plot(history["epoch"], history[column], marker="o", markersize=3, label=legend)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_title(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if name != "learning_rate":
            axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


_PANELS = {"loss": "loss", "accuracy": "accuracy", "learning_rate": "learning rate"}
