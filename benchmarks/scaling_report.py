"""What benchmarks/scaling.py found, as tables, and held against what is promised. Pure functions."""

from collections.abc import Mapping, Sequence

from checks import Check
from scaling_measurements import Measured
from scaling_plan import ModelCount
from tables import aligned


def step_table(measured: Sequence[Measured]) -> str:
    """Steps of one worker and of two, and what of the latter is communication."""
    header = ["case", "batch", "one", "one, x2", "two", "x one", "x one, x2", "without sum", "part of sum", "sum alone"]
    rows = [header]
    for each in measured:
        rows.append(
            [
                each.case.label,
                str(each.case.batch),
                *(spread.in_milliseconds() for spread in (each.one, each.one_with_all, each.two)),
                f"{each.two.median / each.one.median:.2f}",
                f"{each.two.median / each.one_with_all.median:.2f}",
                each.without.in_milliseconds(),
                f"{all_reduce_part(each):.0%}",
                each.all_reduce.in_milliseconds(),
            ]
        )
    title = (
        "\nA step, ms ± half the spread of the middle half of the samples: one worker with a batch, one with two "
        "batches (x2), two workers with a batch each; without the sum of the gradients, and that sum alone"
    )
    return "\n".join([title, *aligned(rows)]) + "\n"


def extras_table(measured: Sequence[Measured]) -> str:
    """What a checkpoint and the agreement about SIGTERM cost."""
    rows = [["case", "save, ms", "of a step", "write, ms", "of a step", "question, ms", "agreement"]]
    for each in measured:
        rows.append(
            [
                each.case.label,
                each.save.in_milliseconds(),
                f"{each.save.median / each.one.median:.2f}",
                each.write.in_milliseconds(),
                f"{each.write.median / each.one.median:.2f}",
                each.question.in_milliseconds(),
                f"{each.agreement.median:.1%}",
            ]
        )
    title = (
        "\nA checkpoint: what holds the training up, and what its thread writes beside it; the workers' question "
        "whether to end, and its part of a training of two workers"
    )
    return "\n".join([title, *aligned(rows)]) + "\n"


def all_reduce_part(measured: Measured) -> float:
    """Of two workers' step: what it takes longer than without the sum, waiting for the other worker included."""
    return 1 - measured.without.median / measured.two.median


def step_checks(measured: Measured) -> list[Check]:
    """What the first case must fulfil."""
    label = measured.case.label
    weak = measured.two.median / measured.one.median
    strong = measured.two.median / measured.one_with_all.median
    save = measured.save.median / measured.one.median
    return [
        Check(f"{label}: two workers' step by one's, same batch a worker", weak, "at most", 1.5),
        Check(f"{label}: two workers' step by one's, same batch in all", strong, "at most", 0.8),
        Check(f"{label}: the sum of the gradients, of a step", all_reduce_part(measured), "at most", 0.35),
        Check(f"{label}: a checkpoint holds up, in steps", save, "at most", 0.5),
        Check(f"{label}: the agreement about SIGTERM, of a training", measured.agreement.median, "at most", 0.02),
    ]


def traced_table(traced: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    """The collective operations in the graphs of steps: model -> what was traced -> counts."""
    rows = [["model", "step with", "parameters", "collectives", "values"]]
    for model, steps in traced.items():
        for label, found in steps.items():
            counts = [f"{found[name]:,}" for name in ("parameters", "collectives", "values")]
            rows.append([model, label, *counts])
    return "\n".join(["\nCollective operations of a replica in the graph of a step", *aligned(rows)]) + "\n"


def traced_checks(
    traced: Mapping[str, Mapping[str, Mapping[str, int]]], counts: Mapping[str, ModelCount]
) -> list[Check]:
    """Whether the graphs hold what the plan counts with."""
    checks = []
    for model, steps in traced.items():
        for label, found in steps.items():
            of_norm = counts[model] if label == "sync_bn" else None
            collectives = 1 + (of_norm.sync_bn_collectives if of_norm else 0)
            values = found["parameters"] + (of_norm.sync_bn_values if of_norm else 0)
            off = abs(found["collectives"] - collectives) + abs(found["values"] - values)
            checks.append(Check(f"{model}, {label}: collectives and values off the formula", off, "at most", 0))
    return checks
