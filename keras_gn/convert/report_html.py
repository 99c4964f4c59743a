"""A conversion report as one HTML page, without scripts and without other files."""

import math
from collections.abc import Collection, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --text: #1a1d21; --muted: #5c6570; --page: #ffffff; --line: #dde1e6;
  --stripe: #f5f7f9; --bar: #2f6fb3; --track: #e3e8ee; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7eb; --muted: #9aa4b0; --page: #16191d; --line: #333a42;
  --stripe: #1d2126; --bar: #6aa9e9; --track: #2a3038; } }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: var(--text); background: var(--page);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { position: sticky; top: 0; background: var(--page); color: var(--muted); white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--stripe); }
tbody th { font: 13px/1.6 ui-monospace, monospace; }
.right { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.track { display: inline-block; width: 8rem; height: .6rem; margin-left: .6rem; background: var(--track); }
.bar { display: block; height: 100%; background: var(--bar); }
p.scale { color: var(--muted); }
"""


def render_html(
    headings: Sequence[str],
    rows: Sequence[tuple[Sequence[str], float | None]],
    *,
    sentences: Sequence[str],
    right_aligned: Collection[str],
) -> str:
    """The page of a table whose column "error" has a bar beside each number.

    Args:
        headings: The names of the columns.
        rows: For each row its cells, as many as there are headings, and its error; no bar without one. The bar of
            the largest error is full.
        sentences: What stands above the table, a paragraph each.
        right_aligned: The columns of numbers.

    >>> page = render_html(("layer", "error"), [(("a<b", "5 %"), 0.05)], sentences=("1 layer.",), right_aligned=())
    >>> "a&lt;b" in page, 'style="width: 100.0%"' in page
    (True, True)
    """
    scale = max((error for _, error in rows if error is not None and math.isfinite(error)), default=0.0)
    body = "\n".join(_row(headings, cells, error, scale=scale, right_aligned=right_aligned) for cells, error in rows)
    head = "".join(f'<th scope="col"{_alignment(name, right_aligned)}>{escape(name)}</th>' for name in headings)
    paragraphs = "\n".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conversion of batch normalization</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Conversion of batch normalization</h1>
{paragraphs}
{_explanation(scale)}
<div class="scroll">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>
</body>
</html>
"""


def _row(
    headings: Sequence[str],
    cells: Sequence[str],
    error: float | None,
    *,
    scale: float,
    right_aligned: Collection[str],
) -> str:
    """A row of the table; its first cell is the row's heading."""
    parts = []
    for index, (heading, cell) in enumerate(zip(headings, cells, strict=True)):
        bar = _bar(error, scale) if heading == "error" else ""
        tag, scope = ("th", ' scope="row"') if index == 0 else ("td", "")
        parts.append(f"<{tag}{scope}{_alignment(heading, right_aligned)}>{escape(cell)}{bar}</{tag}>")
    return f"<tr>{''.join(parts)}</tr>"


def _bar(error: float | None, scale: float) -> str:
    """A bar, as long as `error` is of `scale`; the number beside it says the same to who can't see it."""
    if error is None:
        return ""
    share = error / scale if scale and math.isfinite(error) else 0.0
    return f'<span class="track" aria-hidden="true"><span class="bar" style="width: {100 * share:.1f}%"></span></span>'


def _explanation(scale: float) -> str:
    """What the bars mean, if there are any."""
    if not scale:
        return ""
    return (
        '<p class="scale">Error: root mean square of the difference between a layer\'s output and that of the batch '
        "normalization it replaces, over the standard deviation of the latter, on the calibration data. "
        f"A full bar is {100 * scale:.2g} %.</p>"
    )


def _alignment(heading: str, right_aligned: Collection[str]) -> str:
    return ' class="right"' if heading in right_aligned else ""
