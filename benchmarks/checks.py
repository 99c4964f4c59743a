"""Measured figures against their bounds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """A figure that must stay on one side of its bound.

    Args:
        name: what was measured.
        figure: None if it could not be measured, which is not good enough.
        rule: on which side of the bound it must stay.
        bound: itself good enough.
        note: more to know, such as the worst case.
    """

    name: str
    figure: float | None
    rule: Literal["at least", "at most"]
    bound: float
    note: str = ""

    @property
    def holds(self) -> bool:
        if self.figure is None:
            return False
        return self.figure >= self.bound if self.rule == "at least" else self.figure <= self.bound

    def line(self) -> str:
        """For the terminal.

        >>> Check("twice as fast", 1.5, "at least", 2.0).line()
        'FALLS SHORT  twice as fast: 1.50 (at least 2)'
        >>> Check("as lean", 0.9, "at most", 1.0, note="worst 0.95").line()
        'ok           as lean: 0.90 (at most 1); worst 0.95'
        """
        figure = "not measured" if self.figure is None else f"{self.figure:.2f}"
        note = f"; {self.note}" if self.note else ""
        return f"{'ok' if self.holds else 'FALLS SHORT':12} {self.name}: {figure} ({self.rule} {self.bound:g}){note}"

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "ok": self.holds}


def report_checks(checks: Sequence[Check]) -> int:
    """Prints the checks and returns the exit status of the command: 1 if any falls short."""
    sys.stdout.write("\nChecks\n" + "".join(f"  {check.line()}\n" for check in checks))
    return int(not all(check.holds for check in checks))
