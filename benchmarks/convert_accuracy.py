"""What accuracy trained models keep when their batch normalization becomes group normalization.

    python benchmarks/convert_accuracy.py --data-dir DIR --json FILE
    python benchmarks/convert_accuracy.py --quick

Trains the models of benchmarks/convert_models.py, those that `--models-dir` doesn't hold yet, and converts each with
every choice of groups and every way to set gamma and beta: copied, reset, from the moving statistics, calibrated with
500 unlabelled training images, and calibrated and distilled from the model with batch normalization for 200 steps on
the same images; both see them moved and mirrored as in the model's training, calibration a thousand such views. Prints
the accuracies on the whole test sets, and exits with 1 if less of them is kept than is promised; nothing is promised of
the harder ones, which are measured when named. `--json` is written after every figure, and a run that finds it goes on
from there; remove it when the converter has changed. `--quick` is a trial of the command itself: its figures mean
nothing.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import keras
from checks import Check, report_checks
from convert_accuracy_cells import FULL, GROUPINGS, MODES, QUICK, Cells, Subject, read_cells
from convert_accuracy_report import accuracy_checks, model_table
from convert_models import HARDER_RECIPES, QUICK_RECIPES, RECIPES, train_missing
from machine import describe_machine
from tqdm import tqdm

from zoo.errors import UserError
from zoo.files import write_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="holds the folders cifar10 and fashion_mnist")
    parser.add_argument(
        "--models-dir", type=Path, default=Path("runs/convert_models"), help="of the trained models (%(default)s)"
    )
    parser.add_argument("--models", nargs="+", choices=RECIPES | HARDER_RECIPES, help="these only")
    parser.add_argument("--groupings", nargs="+", choices=GROUPINGS, default=list(GROUPINGS), help="these only")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="these only")
    parser.add_argument("--quick", action="store_true", help="a tiny model, few images and hardly any steps")
    parser.add_argument("--json", type=Path, help="write the figures to this file, and go on from those in it")
    arguments = parser.parse_args()
    arguments.models = list(QUICK_RECIPES) if arguments.quick else arguments.models or list(RECIPES)
    return arguments


def measure(
    subjects: Sequence[Subject],
    known: Cells,
    *,
    groupings: Sequence[str],
    modes: Sequence[str],
    keep: Callable[[Cells], None],
) -> list[str]:
    """Adds what is missing to the known cells, prints a table a model, and returns why some can't be measured.

    Args:
        subjects: The models.
        known: The cells of an earlier run, by their keys; it grows.
        groupings, modes: What to measure of each.
        keep: Called with `known` after every new cell.
    """
    problems = []
    # `disable=None`: no bar where the output is no terminal.
    missing = {subject: subject.missing(known, groupings, modes) for subject in subjects}
    bar = tqdm(total=sum(map(len, missing.values())), unit=" cells", disable=None)
    with bar:
        for subject in subjects:
            for grouping, mode in missing[subject]:
                bar.set_description(f"{subject.name}, {grouping or 'batch normalization'}, {mode or 'as it is'}")
                try:
                    cell = subject.measure(grouping, mode)
                except ValueError as error:
                    problems.append(f"{subject.name}, {grouping}, {mode}: {error}")
                else:
                    known[cell.key] = cell
                    keep(known)
                bar.update()
            bar.write(model_table(subject.cells(known), subject.name))
            keras.utils.clear_session()
    return problems


def main() -> int:
    arguments = parse_arguments()
    scale = QUICK if arguments.quick else FULL

    def keep(known: Cells, checks: Sequence[Check] = ()) -> None:
        if arguments.json:
            cells = [asdict(cell) for cell in known.values()]
            content = {"cells": cells, "checks": [check.as_json() for check in checks]}
            write_json(arguments.json, {"machine": describe_machine(), "scale": asdict(scale), **content})

    try:
        train_missing(arguments.models, arguments.models_dir, data_dir=arguments.data_dir)
        paths = {name: arguments.models_dir / f"{name}.keras" for name in arguments.models}
        subjects = [Subject(name, path, data_dir=arguments.data_dir, scale=scale) for name, path in paths.items()]
        current = {subject.fingerprint for subject in subjects}
        # Cells of a model that was trained again are of no use.
        known = {
            key: cell
            for key, cell in read_cells(arguments.json).items()
            if cell.fingerprint in current or cell.model not in arguments.models
        }
        sys.stdout.write("Test accuracy, % (and % of that with batch normalization)\n\n")
        problems = measure(subjects, known, groupings=arguments.groupings, modes=arguments.modes, keep=keep)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.writelines(f"not measured: {problem}\n" for problem in problems)
    promised = [name for name in arguments.models if name not in HARDER_RECIPES]
    checks = accuracy_checks([cell for subject in subjects for cell in subject.cells(known)], promised)
    keep(known, checks)
    return report_checks(checks) or int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
