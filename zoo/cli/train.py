"""train.py: from a recipe and options to a trained, evaluated and exported model."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.cli import command
from zoo.cli.arguments import add_config_arguments, config_overrides
from zoo.cli.task import make_task, refuse_unknown_names
from zoo.errors import UserError
from zoo.export import export_saved_model
from zoo.files import write_json
from zoo.recipes import RECIPES, get_recipe
from zoo.tasks import ImageClassification
from zoo.training import RunFolder, TrainConfig, fit, prepare
from zoo.training.evaluation import evaluate_model, save_evaluation
from zoo.training.native_kernel import prepare_native_kernel
from zoo.training.run_folder import default_path, refuse_conflict, require_space, start

logger = logging.getLogger(__name__)


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
    return command.run(train, parser.parse_args(argv))


def train(arguments: argparse.Namespace) -> None:
    """Trains, evaluates and exports one run."""
    config, path = _configuration_and_path(arguments)
    # Nothing is loaded, let alone written, before what can be refused at once has been.
    refuse_unknown_names(config)
    refuse_conflict(path, config, resume=arguments.resume)
    task = make_task(config)
    logger.info(task.summary())
    prepare_native_kernel()
    training = prepare(config, task)
    require_space(path, training.model.count_params())
    folder = start(path, config, task.metadata(), resume=arguments.resume)
    try:
        fit(training, folder)
        _finish(config, task, folder)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. Continue with: python train.py --output {path} --resume\n")
        raise


def _configuration_and_path(arguments: argparse.Namespace) -> tuple[TrainConfig, Path]:
    if arguments.resume and arguments.recipe:
        raise UserError(
            "`recipe` can't be changed by a resume, which continues with the settings of the run. Received: "
            f"recipe={arguments.recipe!r}. Leave it out."
        )
    overrides = config_overrides(arguments)
    # A data set's name finds its recipe; one without a recipe is told as a data set.
    of_dataset = RECIPES.get(overrides.get("dataset", TrainConfig().dataset), TrainConfig())
    config = dataclasses.replace(get_recipe(arguments.recipe) if arguments.recipe else of_dataset, **overrides)
    path = arguments.output or default_path(config, resume=arguments.resume)
    if arguments.resume:
        config = dataclasses.replace(RunFolder(path).read_config(), **overrides)
    return config, path


def _finish(config: TrainConfig, task: ImageClassification, folder: RunFolder) -> None:
    """Scores the best model on every held-out split and exports it."""
    model = folder.load_best_model()
    metrics = {}
    for split in ("validation", "test"):
        if task.examples(split):
            evaluation = evaluate_model(model, task, split, batch_size=config.batch_size)
            save_evaluation(evaluation, folder.evaluation / split)
            metrics[split] = evaluation.metrics
    write_json(folder.metrics_file, metrics)
    # Where files lie on this machine is nobody else's business.
    private = {"data_dir", "initial_weights"}
    provenance = {name: value for name, value in config.to_json().items() if name not in private}
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
