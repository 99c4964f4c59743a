"""How fast group normalization is, beside a copy of the tensor and all that users would take instead.

    python benchmarks/group_norm.py --json FILE --plot FILE.png
    python benchmarks/group_norm.py --shapes 8x56x56x256 1x7x7x2048 --only times
    python benchmarks/group_norm.py --quick

On the CPU, with 32 groups, measures

* times: a copy (x + 1), Keras' GroupNormalization, Keras' BatchNormalization in training, keras_gn's with its
  portable and its native kernel, torch's group_norm and keras_gn on JAX (where they are installed), in turn; plain
  and under XLA, forward and forward + backward, in float32 and bfloat16. Inputs are in memory.
* cores: the native kernel on one sample, with one thread and with two.
* memory: by how much a forward and backward pass grows a fresh process that has x and dy in memory.

Prints medians, spreads and ratios, and holds them against what is promised: exits with 1 if anything falls short.
`--quick` is a trial of the command itself: its figures mean nothing.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from checks import Check, report_checks
from group_norm_cases import CONTENDERS, FULL, GROUPS, QUICK, Scale, Shape, cases, core_cases, with_options
from group_norm_checks import core_checks, memory_checks, time_checks
from group_norm_measurements import (
    measure_cores,
    measure_memory,
    measure_times,
    memory_runs,
    missing_contenders,
)
from group_norm_plot import plot_times
from group_norm_report import core_table, memory_table, time_tables
from machine import describe_machine
from tqdm import tqdm

from zoo.files import write_json

PARTS = ("times", "cores", "memory")
NAMES = tuple(dict.fromkeys(contender.name for contender in CONTENDERS))


def shape(text: str) -> Shape:
    """
    >>> shape("8x7x7x2048")
    (8, 7, 7, 2048)
    """
    sizes = tuple(int(size) for size in text.split("x")) if re.fullmatch(r"\d+(x\d+)+", text) else ()
    if len(sizes) < 2 or min(sizes) < 1 or sizes[-1] % GROUPS or math.prod(sizes[1:]) == GROUPS:
        raise argparse.ArgumentTypeError(
            f"must be batch x positions x channels, such as 8x7x7x2048, with a multiple of {GROUPS} channels and more "
            f"than one element a group. Received: {text}"
        )
    return sizes


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure less than all three")
    parser.add_argument("--shapes", nargs="+", type=shape, help="such as 8x56x56x256; channels in multiples of 32")
    parser.add_argument(
        "--contenders", nargs="+", choices=NAMES, default=NAMES, help="besides the copy; checks on others fall short"
    )
    parser.add_argument("--repeats", type=int, help=f"samples of each contender (default {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="two tiny shapes and hardly any samples")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the times to this PNG")
    arguments = parser.parse_args()
    if arguments.repeats is not None and arguments.repeats < 1:
        parser.error(f"`--repeats` must be 1 or more. Received: {arguments.repeats}")
    if arguments.plot and "times" not in arguments.only:
        parser.error("`--plot` draws the times: add times to `--only`, or leave one of them out.")
    return arguments


def measure(
    scale: Scale, parts: Sequence[str], names: Collection[str], missing: Collection[str]
) -> tuple[dict[str, list[Any]], list[Check]]:
    """The measurements by part, printed, and the checks on them."""
    contenders = [contender for contender in CONTENDERS if contender.name in names and contender.name not in missing]
    has_native = any(contender.name == "native" for contender in contenders)
    total = {
        "times": len(cases(scale.shapes)) * len(contenders),
        "cores": len(core_cases(scale.shapes)) * has_native,
        "memory": len(memory_runs(scale, contenders)),
    }
    run: dict[str, Callable[[tqdm], list[Any]]] = {
        "times": lambda progress: measure_times(scale, contenders, progress),
        "cores": lambda progress: measure_cores(scale, progress) if has_native else [],
        "memory": lambda progress: measure_memory(scale, contenders, progress),
    }
    tables: dict[str, Callable[[list[Any]], str]] = {"times": time_tables, "cores": core_table, "memory": memory_table}
    checks: dict[str, Callable[[list[Any]], list[Check]]] = {
        "times": time_checks,
        "cores": core_checks,
        "memory": memory_checks,
    }
    with tqdm(total=sum(total[part] for part in parts), desc="measuring", unit="function") as progress:
        found = {part: run[part](progress) for part in parts}
    sys.stdout.writelines(tables[part](rows) for part, rows in found.items())
    return found, [check for part, rows in found.items() for check in checks[part](rows)]


def main() -> int:
    arguments = parse_arguments()
    shapes = tuple(arguments.shapes) if arguments.shapes else None
    scale = with_options(QUICK if arguments.quick else FULL, shapes=shapes, rounds=arguments.repeats)
    # Two cores are compared with one on one sample; without such a shape there is nothing to compare.
    parts = [part for part in PARTS if part in arguments.only and (part != "cores" or core_cases(scale.shapes))]
    names = {"copy", *arguments.contenders}
    missing = {name: reason for name, reason in missing_contenders().items() if name in names}
    sys.stdout.writelines(f"{name} can't be measured: {reason}\n" for name, reason in missing.items())
    found, checks = measure(scale, parts, names, missing)
    status = report_checks(checks)
    if arguments.json:
        rows = {part: [asdict(row) for row in rows] for part, rows in found.items()}
        content = {"machine": describe_machine(), "scale": asdict(scale), "missing": missing, **rows}
        write_json(arguments.json, {**content, "checks": [check.as_json() for check in checks]})
    if arguments.plot:
        plot_times(found["times"], arguments.plot)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
