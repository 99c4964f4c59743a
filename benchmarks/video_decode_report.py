"""What benchmarks/video_decode.py found, as a table, and held against what is promised. Pure functions."""

import statistics
from collections.abc import Sequence
from itertools import groupby

from checks import Check
from tables import aligned
from timing import Spread
from video_decode_measurements import OURS, Figures

# Two ways to make an RGB picture of another size differ by about 1.5 of 255; neighbouring frames by 2 and more.
SAME = 3.0


def decode_table(figures: Sequence[Figures]) -> str:
    """A row a reader and case; `ours x` is the median over the rounds of its time by ours in the same round."""
    rows = [["", "clips/s", "spread", "ours x", "frames", "others", "difference"]]
    for case, found in _cases(figures):
        rows.append([f"{case}, {found[0].clips} clips"] + [""] * (len(rows[0]) - 1))
        ours = _ours(found)
        for each in found:
            rates = Spread.of([each.clips / seconds for seconds in each.seconds])
            rows.append(
                [
                    f"  {each.reader}",
                    f"{rates.median:.1f}",
                    f"{rates.low:.1f} to {rates.high:.1f}",
                    f"{_ratio(each, ours):.2f}",
                    str(len(each.differences)),
                    str(_others(each)),
                    f"{statistics.median(each.differences):.2f}",
                ]
            )
    title = (
        "Clips/s: median and middle half of the rounds; others: frames that are not those of decoding the whole file; "
        "difference: median over the frames of the mean absolute difference to these, of 255"
    )
    return "\n".join([title, *aligned(rows)]) + "\n"


def decode_checks(figures: Sequence[Figures]) -> list[Check]:
    """In every case: the fastest of the others by ours, and the frames of ours that are others."""
    checks = []
    for case, found in _cases(figures):
        ours = _ours(found)
        ratios = {each.reader: _ratio(each, ours) for each in found if each is not ours}
        fastest = min(ratios, key=lambda reader: ratios[reader])
        checks.append(Check(f"{case}: our speed by the fastest", ratios[fastest], "at least", 1.0, note=fastest))
        checks.append(Check(f"{case}: frames of ours that are others", float(_others(ours)), "at most", 0.0))
    return checks


def _cases(figures: Sequence[Figures]) -> list[tuple[str, list[Figures]]]:
    return [(case, list(found)) for case, found in groupby(figures, key=lambda each: each.case.label)]


def _ours(found: Sequence[Figures]) -> Figures:
    return next(each for each in found if each.reader == OURS)


def _ratio(each: Figures, ours: Figures) -> float:
    """Of times in the same round: what slows the machine down slows both."""
    return statistics.median(theirs / own for theirs, own in zip(each.seconds, ours.seconds, strict=True))


def _others(each: Figures) -> int:
    return sum(difference > SAME for difference in each.differences)
