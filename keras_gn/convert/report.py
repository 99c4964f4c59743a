"""What a conversion did, layer by layer."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import keras

from keras_gn.convert.report_html import render_html
from keras_gn.files import atomic_path

HEADINGS = ("layer", "channels", "groups", "epsilon", "weights", "error", "reason")
_RIGHT_ALIGNED = {"channels", "groups", "epsilon", "error"}


@dataclass(frozen=True)
class ReportRow:
    """What became of one BatchNormalization.

    Args:
        path: Where the layer is in the model, as `inner/norm` or `blocks[0].norm`.
        channels: The number of its channels, if known.
        groups: The number of groups of what replaces it; None if there are none.
        epsilon: The epsilon of what replaces it; None if the layer is kept.
        weights: Where gamma and beta come from: "statistics", "copy", "reset" or "calibrated"; "kept" if the layer
            isn't converted.
        reason: Why this number of groups, or why the layer is kept.
        error: How far the layer is from what it replaces, on the calibration data: the root of the mean of
            `(new output - old output)^2` over the root of the mean variance of the old output's channels, in the last
            pass of the calibration. 0 is no difference at all, 1 is as bad as a constant for each channel. None
            without calibration.
    """

    path: str
    channels: int | None
    groups: int | None
    epsilon: float | None
    weights: str
    reason: str
    error: float | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, under `HEADINGS`; "-" where there is nothing to say.

        >>> ReportRow("norm", 64, 8, 1e-3, "calibrated", "8 channels a group", error=0.0123).cells
        ('norm', '64', '8', '0.001', 'calibrated', '1.2 %', '8 channels a group')
        """
        numbers = ("-" if value is None else f"{value:g}" for value in (self.channels, self.groups, self.epsilon))
        error = "-" if self.error is None else f"{100 * self.error:.2g} %"
        return (self.path, *numbers, self.weights, error, self.reason)


@dataclass(frozen=True)
class ConversionReport:
    """The rows of all BatchNormalization layers of a model, and notes on the model as a whole.

    `str(report)` is a table for a terminal, `report.save_html(path)` writes a page with a bar for each error.

    >>> row = ReportRow("norm", 64, 8, 1e-3, "statistics", "8 channels a group")
    >>> kept = ReportRow("top", 10, None, None, "kept", "left out by `layer_filter`")
    >>> print(ConversionReport(rows=(row, kept), notes=("The model is not compiled.",)))
    layer  channels  groups  epsilon  weights     error  reason
    norm         64       8    0.001  statistics      -  8 channels a group
    top          10       -        -  kept            -  left out by `layer_filter`
    <BLANKLINE>
    1 layer converted, 1 kept.
    The model is not compiled.
    """

    rows: tuple[ReportRow, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ReportRow]:
        return iter(self.rows)

    def __str__(self) -> str:
        return "\n".join([*(self._table() if self.rows else ()), self.summary, *self.notes])

    def _table(self) -> Iterator[str]:
        """The lines of the table, and an empty one."""
        table = [HEADINGS, *(row.cells for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for cells in table:
            columns = zip(HEADINGS, cells, widths, strict=True)
            aligned = (
                cell.rjust(width) if name in _RIGHT_ALIGNED else cell.ljust(width) for name, cell, width in columns
            )
            yield "  ".join(aligned).rstrip()
        yield ""

    @property
    def converted(self) -> tuple[ReportRow, ...]:
        """The rows of the layers that are converted."""
        return tuple(row for row in self.rows if row.weights != "kept")

    @property
    def kept(self) -> tuple[ReportRow, ...]:
        """The rows of the layers that are still BatchNormalization."""
        return tuple(row for row in self.rows if row.weights == "kept")

    @property
    def summary(self) -> str:
        """How many layers are converted and kept, in a sentence."""
        count = len(self.converted)
        return f"{count} layer{'' if count == 1 else 's'} converted, {len(self.kept)} kept."

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Writes the report as one HTML page that needs no other file.

        Args:
            path: The file, whose folder exists; an earlier one is replaced.
        """
        rows = [(row.cells, row.error) for row in self.rows]
        page = render_html(HEADINGS, rows, sentences=(self.summary, *self.notes), right_aligned=_RIGHT_ALIGNED)
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


# The report goes when its model goes.
_REPORTS: WeakKeyDictionary[keras.Model, ConversionReport] = WeakKeyDictionary()


def remember(model: keras.Model, report: ConversionReport) -> None:
    """Makes `report` the one that `conversion_report(model)` gives."""
    _REPORTS[model] = report


def add_note(model: keras.Model, note: str) -> None:
    """Adds a note to the model's report, if it has one."""
    if model in _REPORTS:
        report = _REPORTS[model]
        _REPORTS[model] = replace(report, notes=(*report.notes, note))


def remember_first(model: keras.Model, report: ConversionReport) -> None:
    """The same, unless the model has a report already."""
    _REPORTS.setdefault(model, report)


def conversion_report(model: keras.Model) -> ConversionReport:
    """What the conversion that made `model` did with each of its BatchNormalization layers.

    Args:
        model: A model that `convert_bn_to_gn` or `convert_norm` gave, in this process: the report is not saved
            with the model (save it with `save_html`, or as text with `str`).

    Returns:
        The report; it iterates over its rows.

    Raises:
        TypeError: If `model` isn't a Keras model.
        ValueError: If `model` doesn't come from a conversion.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    >>> remember(model, ConversionReport(rows=()))
    >>> conversion_report(model).summary
    '0 layers converted, 0 kept.'
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"The argument `model` must be a Keras model. Received: model={model!r}")
    if model not in _REPORTS:
        raise ValueError(
            "The argument `model` must be what a conversion gave in this process; the report isn't saved with a model, "
            f"and the model that was converted has none, only its converted copy. Received: model={model!r}"
        )
    return _REPORTS[model]
