"""train.py: from a recipe and options to a trained, evaluated and exported model."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from zoo.cli import session
from zoo.cli.arguments import add_config_arguments, config_overrides
from zoo.cli.task import make_task
from zoo.export import export_saved_model
from zoo.files import write_json
from zoo.recipes import RECIPES, get_recipe
from zoo.tasks import ImageClassification
from zoo.training import RunFolder, TrainConfig, fit, prepare
from zoo.training.evaluation import evaluate_model, save_evaluation
from zoo.training.run_folder import default_path, start


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and trains; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Trains a model of the zoo, evaluates it and exports it as a SavedModel.",
        epilog="Defaults come from the recipe; zoo/recipes tells what each was made for.",
    )
    parser.add_argument("--recipe", help=f"named configuration, by default the data set's: {', '.join(RECIPES)}")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/MODEL-NORM-DATASET, numbered)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run from its last checkpoint")
    add_config_arguments(parser)
    return session.run(train, parser.parse_args(argv))


def train(arguments: argparse.Namespace) -> None:
    """Trains, evaluates and exports one run."""
    config = _configuration(arguments)
    path = arguments.output or default_path(config, resume=arguments.resume)
    if arguments.resume:
        config = dataclasses.replace(RunFolder(path).read_config(), **config_overrides(arguments))
    task = make_task(config)
    training = prepare(config, task)  # before anything is written: a bad setting leaves no folder behind
    folder = start(path, config, resume=arguments.resume)
    try:
        fit(training, folder)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. Continue with: python train.py --output {path} --resume\n")
        raise
    _finish(config, task, folder)


def _configuration(arguments: argparse.Namespace) -> TrainConfig:
    overrides = config_overrides(arguments)
    recipe = arguments.recipe or overrides.get("dataset", TrainConfig().dataset)
    # A data set's name finds its recipe; an unknown one is told by the data catalog.
    base = get_recipe(recipe) if arguments.recipe or recipe in RECIPES else TrainConfig()
    return dataclasses.replace(base, **overrides)


def _finish(config: TrainConfig, task: ImageClassification, folder: RunFolder) -> None:
    """Scores the best model on every held-out split and exports it."""
    model = keras.models.load_model(folder.best_model, compile=False)
    metrics = {}
    for split in ("validation", "test"):
        if task.examples(split):
            evaluation = evaluate_model(model, task, split, batch_size=config.batch_size)
            save_evaluation(evaluation, folder.evaluation / split)
            metrics[split] = evaluation.metrics
    write_json(folder.metrics_file, metrics)
    # Where the data lies on this machine is nobody else's business.
    provenance = {name: value for name, value in config.to_json().items() if name != "data_dir"}
    export_saved_model(model, task, folder.export, provenance=provenance)
    sys.stdout.write(_summary(metrics, folder))


def _summary(metrics: dict[str, dict[str, float]], folder: RunFolder) -> str:
    lines = [
        f"{split} accuracy {scores['accuracy']:.2%} (loss {scores['loss']:.4f}, {scores['examples']} images)"
        for split, scores in metrics.items()
    ]
    lines.append(f"run folder: {folder.path}")
    lines.append(f"evaluate it: python evaluate.py --saved-model {folder.export}")
    return "\n".join(lines) + "\n"
