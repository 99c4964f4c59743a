"""What benchmarks/train_step.py found, as a table, and held against what is promised. Pure functions."""

from collections.abc import Sequence
from typing import Literal

from checks import Check
from tables import aligned
from train_step_cases import Contender
from train_step_measurements import Step


def step_table(steps: Sequence[Step], *, batch_size: int) -> str:
    """A row a contender, and a line between the groups."""
    header = ["contender", "compiled by", "kernel", "step, ms", "images/s", "x BN", "inference, ms", "x BN", "peak, GB"]
    rows = [header]
    bn = _find(steps, Contender("bn", "default"))
    for step in steps:
        ratios = [
            f"{median / reference:.2f}" if reference else "-"
            for median, reference in (
                (step.train.median, bn and bn.train.median),
                (step.predict.median, bn and bn.predict.median),
            )
        ]
        rows.append(
            [
                step.contender.label,
                "XLA" if step.xla else "TensorFlow",
                step.kernel or "",
                step.train.in_milliseconds(),
                f"{batch_size / step.train.median:.1f}",
                ratios[0],
                step.predict.in_milliseconds(),
                ratios[1],
                f"{step.peak_bytes / 1e9:.2f}",
            ]
        )
    title = "\nMilliseconds ± half the spread of the middle half of the samples; x BN: times Keras' BN, default compile"
    return "\n".join([title, *aligned(rows)]) + "\n"


def step_checks(steps: Sequence[Step]) -> list[Check]:
    """What `model.compile(...)` and `fit` give with our GN, by what they give with BN."""
    return [
        _check(steps, "train", "training step", 0.9),
        _check(steps, "predict", "inference", 1.1),
    ]


def _check(steps: Sequence[Step], field: Literal["train", "predict"], what: str, bound: float) -> Check:
    seconds = {step.contender: getattr(step, field).median for step in reversed(steps)}
    ours, bn = seconds.get(Contender("gn", "default")), seconds.get(Contender("bn", "default"))
    figure = ours / bn if ours and bn else None
    best = min((value for contender, value in seconds.items() if contender.norm == "bn"), default=None)
    note = f"{ours / best:.2f} by BN's fastest" if ours and best else ""
    return Check(f"{what}, default compile: our GN's time by that of BN", figure, "at most", bound, note=note)


def _find(steps: Sequence[Step], contender: Contender) -> Step | None:
    return next((step for step in steps if step.contender == contender), None)
