"""What benchmarks/convert_accuracy.py found, as tables, and held against what is promised. Pure functions."""

from collections.abc import Sequence

from checks import Check
from convert_accuracy_cells import GROUPINGS, MODES, Cell
from tables import aligned

# What must be kept of the accuracy with batch normalization, in percent.
BOUNDS: dict[tuple[str, str], float] = {
    ("16 channels a group", "statistics"): 95,
    ("16 channels a group", "calibrated"): 97,
    ("auto", "statistics"): 98,
    ("auto", "calibrated"): 99,
    ("auto", "distilled"): 99.5,
}


def model_table(cells: Sequence[Cell], model: str) -> str:
    """A row for each way to set gamma and beta, a column for each choice of groups."""
    found = {(cell.grouping, cell.mode): cell.accuracy for cell in cells if cell.model == model}
    bn = found.get((None, None))
    rows = [["gamma and beta", *GROUPINGS]]
    rows += [[mode, *(_figures(found.get((grouping, mode)), bn) for grouping in GROUPINGS)] for mode in MODES]
    title = f"{model}: {_percent(bn)} with batch normalization"
    return "\n".join([title, *aligned(rows)]) + "\n"


def accuracy_checks(cells: Sequence[Cell], models: Sequence[str]) -> list[Check]:
    """For every model, what is kept of its accuracy, in percent."""
    found = {(cell.model, cell.grouping, cell.mode): cell.accuracy for cell in cells}
    return [
        Check(
            f"{model}, {grouping}, {mode}: percent of the accuracy kept",
            kept(found.get((model, grouping, mode)), found.get((model, None, None))),
            "at least",
            bound,
        )
        for model in models
        for (grouping, mode), bound in BOUNDS.items()
    ]


def kept(accuracy: float | None, bn: float | None) -> float | None:
    """The percentage of the accuracy with batch normalization.

    >>> kept(0.6, 0.8), kept(None, 0.8)
    (75.0, None)
    """
    return None if accuracy is None or not bn else round(100 * accuracy / bn, 6)


def _figures(accuracy: float | None, bn: float | None) -> str:
    share = kept(accuracy, bn)
    return "-" if share is None else f"{_percent(accuracy)} ({share:5.1f})"


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{100 * accuracy:.2f}"
