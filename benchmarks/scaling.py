"""What it costs to train on several workers, measured with two, and what a network needs for more, counted.

    python benchmarks/scaling.py --json FILE
    python benchmarks/scaling.py --plan --step-milliseconds 80
    python benchmarks/scaling.py --quick

Trains on the digits as train.py does, each worker on a CPU core of its own, and prints: the step of one worker and of
two, with the same batch a worker and with the same batch in all; the share of the sum of the gradients in it (the step
against the same step without the sum); what a checkpoint holds up and writes; what the workers' agreement about SIGTERM
takes. Then it traces steps and counts their collective operations, and prints for every model what N GPUs send each
other. Exits with 1 where a figure falls short, or where a graph doesn't hold what the plan counts with. `--plan` only
counts, in about 20 seconds, and takes every machine. `--quick` is a trial of the command itself: its figures mean
nothing. Needs two cores, and Linux.
"""

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from checks import Check, report_checks
from machine import describe_machine
from scaling_cases import FULL, QUICK, Scale
from scaling_measurements import measure_cases
from scaling_plan import Assumptions, ModelCount, count_model, plan_table
from scaling_report import extras_table, step_checks, step_table, traced_checks, traced_table
from tqdm import tqdm
from worker import start_worker

import zoo
from zoo.files import write_json

# What is traced of a model: its norm, and the norm to which gradients are clipped.
_TRACED: dict[str, tuple[str, float | None]] = {
    "gn": ("gn", None),
    "gn, clipped": ("gn", 1.0),
    "bn": ("bn", None),
    "sync_bn": ("sync_bn", None),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", action="store_true", help="count only")
    parser.add_argument(
        "--step-milliseconds", type=float, default=100.0, help="assumed step of a GPU, for the plan (%(default)s)"
    )
    parser.add_argument("--share", type=float, default=0.1, help="of a step for the sum of gradients (%(default)s)")
    parser.add_argument(
        "--latency-microseconds", type=float, default=5.0, help="assumed, of a message between GPUs (%(default)s)"
    )
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64, 512], help="planned for (8 64 512)")
    parser.add_argument("--images", type=int, default=32, help="assumed, of a GPU's step, for the input (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny model and hardly any steps")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    for option in ("step_milliseconds", "share", "latency_microseconds"):
        if not 0 < getattr(arguments, option) < float("inf"):
            parser.error(f"`--{option.replace('_', '-')}` must be positive. Received: {getattr(arguments, option)}")
    if min(arguments.gpus) < 2 or arguments.images < 1:
        parser.error(f"`--gpus` must be at least 2, `--images` 1. Received: {arguments.gpus}, {arguments.images}")
    if not arguments.plan and (not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2):
        parser.error("the measurement gives each of two workers a core of its own, on Linux; take --plan elsewhere")
    return arguments


def trace(scale: Scale) -> dict[str, dict[str, dict[str, int]]]:
    """By model, and by what was traced: parameters, collective operations and values of a step."""
    with start_worker("scaling_collectives.py") as worker, tqdm(desc="tracing", unit="step") as progress:
        traced: dict[str, dict[str, dict[str, int]]] = {}
        for model in scale.traced:
            traced[model] = {}
            for label, (norm, clip_norm) in _TRACED.items():
                traced[model][label] = worker.ask("collectives", model=model, norm=norm, clip_norm=clip_norm)
                progress.update()
        return traced


def count(scale: Scale) -> dict[str, ModelCount]:
    """The planned and the traced models."""
    names = scale.planned or zoo.list_models()
    return {name: count_model(name) for name in tqdm({*names, *scale.traced}, desc="counting", unit="model")}


def main() -> int:
    arguments = parse_arguments()
    scale = QUICK if arguments.quick else FULL
    assumed = Assumptions(
        step_seconds=arguments.step_milliseconds / 1e3,
        share=arguments.share,
        latency_seconds=arguments.latency_microseconds / 1e6,
        gpus=tuple(arguments.gpus),
        images=arguments.images,
    )
    checks: list[Check] = []
    content: dict[str, Any] = {"machine": describe_machine(), "scale": asdict(scale), "assumed": asdict(assumed)}
    if not arguments.plan:
        measured = measure_cases(scale)
        sys.stdout.write(step_table(measured) + extras_table(measured))
        checks += step_checks(measured[0])
        content["measured"] = [asdict(each) for each in measured]
    counts = count(scale)
    models = [counts[name] for name in sorted(counts, key=lambda name: (counts[name].parameters, name))]
    if not arguments.plan:
        traced = trace(scale)
        sys.stdout.write(traced_table(traced))
        checks += traced_checks(traced, counts)
        content["traced"] = traced
    sys.stdout.write(plan_table(models, assumed))
    status = report_checks(checks) if checks else 0
    if arguments.json:
        content["counts"] = [asdict(each) for each in models]
        write_json(arguments.json, {**content, "checks": [check.as_json() for check in checks]})
    return status


if __name__ == "__main__":
    raise SystemExit(main())
