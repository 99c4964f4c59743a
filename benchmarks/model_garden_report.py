"""What benchmarks/model_garden.py found, as a table, and held against what is promised. Pure functions."""

from collections.abc import Sequence

from checks import Check
from model_garden_measurements import Figures
from tables import aligned

FASTER = 1.2
MEMORY = 1.0


def garden_table(figures: Sequence[Figures]) -> str:
    """Two rows a case; `x` is ours by theirs."""
    rows = [["", "step, ms", "images/s", "x", "memory, GB", "x", "parameters", "detections"]]
    for ours, theirs in _pairs(figures):
        speed = f"{ours.images_per_second / theirs.images_per_second:.2f}"
        memory = f"{ours.memory / theirs.memory:.2f}"
        rows.append([ours.case.label] + [""] * (len(rows[0]) - 1))
        rows += [_row(ours, speed, memory), _row(theirs, "", "")]
    title = (
        "Milliseconds ± half the spread of the middle half of the samples; memory: peak, less that after the imports"
    )
    return "\n".join([title, *aligned(rows)]) + "\n"


def garden_checks(figures: Sequence[Figures]) -> list[Check]:
    """Ours by theirs, in each case."""
    checks = []
    for ours, theirs in _pairs(figures):
        label = ours.case.label
        speed = ours.images_per_second / theirs.images_per_second
        checks.append(Check(f"{label}: our images/s by theirs", speed, "at least", FASTER))
        checks.append(Check(f"{label}: our memory by theirs", ours.memory / theirs.memory, "at most", MEMORY))
    return checks


def _pairs(figures: Sequence[Figures]) -> list[tuple[Figures, Figures]]:
    return list(zip(figures[::2], figures[1::2], strict=True))


def _row(figures: Figures, speed: str, memory: str) -> list[str]:
    detections = ", ".join(str(count) for count in figures.facts.get("detections", []))
    return [
        f"  {figures.side}",
        figures.seconds.in_milliseconds(),
        f"{figures.images_per_second:.3f}",
        speed,
        f"{figures.memory / 1e9:.2f}",
        memory,
        f"{figures.facts['parameters']:,}",
        detections,
    ]
