"""What benchmarks/convert_applications.py found, as a table, and held against what is promised. Pure functions."""

from collections.abc import Sequence

from checks import Check
from convert_applications_steps import Conversion
from tables import aligned


def conversion_table(conversions: Sequence[Conversion]) -> str:
    """A row a model; what is wrong with one follows below."""
    rows = [["model", "pixels", "BN layers", "kept", "parameters", "build, s", "convert, s", "ratio", "result"]]
    for conversion in conversions:
        rows.append(
            [
                conversion.name,
                str(conversion.input_shape[0]),
                str(conversion.batch_norms),
                str(conversion.kept),
                f"{conversion.parameters:,}",
                *(
                    "-" if figure is None else f"{figure:.2f}"
                    for figure in (conversion.build_seconds, conversion.convert_seconds, conversion.ratio)
                ),
                "wrong" if conversion.problems else "ok",
            ]
        )
    problems = [f"  {conversion.name}: {problem}" for conversion in conversions for problem in conversion.problems]
    return "\n".join([*aligned(rows), *problems]) + "\n"


def one_line(conversion: Conversion | None) -> str:
    """What became of a model, as soon as it is known.

    >>> one_line(None)
    'no BatchNormalization'
    >>> one_line(Conversion("A", (64, 64, 3), 5, 0, 100, build_seconds=2.0, convert_seconds=3.0, problems=()))
    '5 BN layers, converted in 1.50 x the time of building, ok'
    """
    if conversion is None:
        return "no BatchNormalization"
    time = "not timed" if conversion.ratio is None else f"converted in {conversion.ratio:.2f} x the time of building"
    return f"{conversion.batch_norms} BN layers, {time}, {'; '.join(conversion.problems) or 'ok'}"


def conversion_checks(conversions: Sequence[Conversion]) -> list[Check]:
    """Every model is converted, works, and was converted quickly."""
    right = sum(not conversion.problems for conversion in conversions)
    ratios = {conversion.name: conversion.ratio for conversion in conversions if conversion.ratio is not None}
    slowest = max(ratios, key=lambda name: ratios[name], default=None)
    return [
        Check("models that are converted and work", right, "at least", max(len(conversions), 1)),
        Check(
            "longest conversion by the time of building the model",
            None if slowest is None else ratios[slowest],
            "at most",
            2.0,
            note=slowest or "",
        ),
    ]
