"""What a training step costs with group normalization, beside the same model with batch normalization.

    python benchmarks/train_step.py --json FILE --plot FILE.png
    python benchmarks/train_step.py --quick

Trains a ResNet-50 of the zoo on the CPU by Keras' own compiled step, on one batch that stays in memory: with
keras_gn's GroupNormalization (its native and its portable kernel), Keras' GroupNormalization, and Keras'
BatchNormalization; as `model.compile(...)` chooses, without XLA, and with it. Each is a process of its own, and they
take one step each in turn. Prints times, images/s and peak memory, and exits with 1 if our GN takes more of BN's time
than is promised, both as compiled by default, or if the native kernel is missing. `--quick` is a trial of the command
itself: its figures mean nothing.
"""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

from checks import report_checks
from machine import describe_machine
from train_step_cases import FULL, QUICK, Scale
from train_step_measurements import measure_steps
from train_step_plot import plot_steps
from train_step_report import step_checks, step_table

from zoo.files import write_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, help=f"images a step (default {FULL.batch_size})")
    parser.add_argument("--image-size", type=int, help=f"pixels (default {FULL.image_size})")
    parser.add_argument("--steps", type=int, help=f"samples of each contender (default {FULL.steps})")
    parser.add_argument("--quick", action="store_true", help="a tiny model and hardly any steps")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the figures to this PNG")
    arguments = parser.parse_args()
    for option in ("batch_size", "image_size", "steps"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            parser.error(f"`--{option.replace('_', '-')}` must be 1 or more. Received: {value}")
    return arguments


def chosen_scale(arguments: argparse.Namespace) -> Scale:
    scale = QUICK if arguments.quick else FULL
    return replace(
        scale,
        batch_size=arguments.batch_size or scale.batch_size,
        image_size=arguments.image_size or scale.image_size,
        steps=arguments.steps or scale.steps,
    )


def main() -> int:
    arguments = parse_arguments()
    scale = chosen_scale(arguments)
    steps, problems = measure_steps(scale)
    title = f"{scale.model}, {scale.image_size} px, batch size {scale.batch_size}"
    sys.stdout.write(f"{title}\n{step_table(steps, batch_size=scale.batch_size)}")
    sys.stdout.writelines(f"{label} can't be measured: {problem}\n" for label, problem in problems.items())
    checks = step_checks(steps)
    status = report_checks(checks)
    if arguments.json:
        content = {
            "machine": describe_machine(),
            "scale": asdict(scale),
            "steps": [asdict(step) for step in steps],
            "missing": problems,
            "checks": [check.as_json() for check in checks],
        }
        write_json(arguments.json, content)
    if arguments.plot:
        plot_steps(steps, arguments.plot, title=title)
    return status or int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
