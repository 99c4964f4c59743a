"""Every model of keras.applications that holds BatchNormalization becomes a GroupNorm model, and works.

    python benchmarks/convert_applications.py --json FILE
    python benchmarks/convert_applications.py --models ResNet50 MobileNetV2
    python benchmarks/convert_applications.py --quick

Finds the builders by looking through keras.applications, and takes each model in a process of its own: builds it with
random statistics, converts it, and checks that no BatchNormalization is left but for those in the report, that the
layers' names and all other weights are the same bit for bit, that it runs forward, trains a step, comes back from a
`.keras` file with the same outputs and from a SavedModel with outputs within 1e-4. Prints a row a model, and exits with
1 if anything falls short, or if a conversion takes more than twice the time of building the model. The whole takes
about an hour on two cores; `--quick` two small models.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from checks import report_checks
from convert_applications_builders import find_builders
from convert_applications_report import conversion_checks, conversion_table, one_line
from convert_applications_steps import STEPS, Conversion, convert_application
from machine import describe_machine
from tqdm import tqdm

from zoo.files import write_json

QUICK = ("MobileNetV3Small", "MobileNet")


def parse_arguments() -> argparse.Namespace:
    names = list(find_builders())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", choices=names, help="builders of keras.applications; default all"
    )
    parser.add_argument("--quick", action="store_true", help=f"only {' and '.join(QUICK)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    arguments.models = arguments.models or (QUICK if arguments.quick else names)
    return arguments


def convert_applications(names: Sequence[str]) -> Mapping[str, Conversion | None]:
    """What became of each model; None for those without BatchNormalization."""
    conversions: dict[str, Conversion | None] = {}
    with tqdm(total=len(names) * len(STEPS), desc="converting", unit="step") as progress:
        for name in names:
            conversion = conversions[name] = convert_application(name, progress)
            # An hour is long: what is known already is shown, beside the bar.
            progress.write(f"{name}: {one_line(conversion)}", file=sys.stderr)
    return conversions


def main() -> int:
    arguments = parse_arguments()
    found = convert_applications(arguments.models)
    conversions = [conversion for conversion in found.values() if conversion is not None]
    others = [name for name, conversion in found.items() if conversion is None]
    sys.stdout.write(conversion_table(conversions))
    sys.stdout.write(f"\nWithout BatchNormalization: {', '.join(others) or 'none'}\n")
    checks = conversion_checks(conversions)
    status = report_checks(checks)
    if arguments.json:
        content = {
            "machine": describe_machine(),
            "conversions": [asdict(conversion) for conversion in conversions],
            "without_batch_norm": others,
            "checks": [check.as_json() for check in checks],
        }
        write_json(arguments.json, content)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
