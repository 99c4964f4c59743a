"""train.py: from a recipe and options to a trained, evaluated and exported model."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from zoo.cli import command
from zoo.cli.arguments import add_config_arguments, config_overrides
from zoo.cli.export import export_run
from zoo.cli.task import describe, make_task, refuse_unknown_names
from zoo.errors import UserError
from zoo.files import write_json
from zoo.recipes import RECIPES, get_recipe
from zoo.tasks import Task
from zoo.training.checkpoint import newest_first
from zoo.training.config import TrainConfig
from zoo.training.continuation import EVERY_EPOCH, resume_command
from zoo.training.distribute import has_several_workers, is_chief, make_strategy, sum_over_workers
from zoo.training.duration import interval_in_steps
from zoo.training.evaluation import evaluate_model, save_evaluation
from zoo.training.fit import fit, prepare
from zoo.training.native_kernel import prepare_native_kernel
from zoo.training.preemption import PreemptedError
from zoo.training.run_folder import RunFolder, default_path, refuse_conflict, refuse_no_run, require_space, start

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
    parser.add_argument(
        "--resume",
        nargs="?",
        const="always",
        choices=("always", "if-begun"),
        help="continue an interrupted run from its last checkpoint; if-begun: or start it, where there is none",
    )
    parser.add_argument(
        "--checkpoint-every",
        default=EVERY_EPOCH,
        metavar="DURATION",
        help="as 0.5 (epochs) or 500steps; the end of an epoch always leaves a checkpoint (default: 1epoch)",
    )
    add_config_arguments(parser)
    return command.run(train, parser.parse_args(argv))


def train(arguments: argparse.Namespace) -> None:
    """Trains, evaluates and exports one run; of several workers, the chief evaluates and exports."""
    config, path, resume = _run_to_train(arguments)
    # Nothing is loaded, let alone written, before what can be refused at once has been.
    refuse_unknown_names(config)
    interval_in_steps(arguments.checkpoint_every, 1, argument="checkpoint_every")
    strategy = make_strategy(config.strategy)
    chief = is_chief(strategy)
    if has_several_workers(strategy) and arguments.output is None:
        raise UserError("`output` must name the run folder where several workers train: one that all of them see.")
    if chief:
        refuse_conflict(path, config, resume=resume)
    task = make_task(config)
    logger.info(task.summary())
    prepare_native_kernel()
    training = prepare(config, task)
    if chief and not resume:
        require_space(path, training.model.count_params())
    folder = start(path, config, describe(task), resume=resume) if chief else RunFolder(path)
    if resume and not newest_first(folder.checkpoints):
        logger.info("there is no checkpoint yet in %s: starts at the first step", folder.checkpoints)
    continuation = resume_command(path, checkpoint_every=arguments.checkpoint_every)
    try:
        fit(training, folder, checkpoint_every=arguments.checkpoint_every)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. Continue with: {continuation}\n")
        raise
    except PreemptedError as error:
        by_what = "Ctrl-C" if error.by_user else "SIGTERM"
        logger.info("ended by %s, with a checkpoint; continue with: %s", by_what, continuation)
        raise
    if chief:
        # One device scores, and its share of a batch is what it has the memory for.
        _finish(task, folder, batch_size=max(1, config.batch_size // strategy.num_replicas_in_sync))
    sum_over_workers(strategy, 0)  # the end of a worker would end the others


def _run_to_train(arguments: argparse.Namespace) -> tuple[TrainConfig, Path, bool]:
    """The configuration of the run, its folder, and whether it goes on."""
    if arguments.resume == "always" and arguments.recipe:
        raise UserError(
            "`recipe` can't be changed by a resume, which continues with the settings of the run. Received: "
            f"recipe={arguments.recipe!r}. Leave it out."
        )
    overrides = config_overrides(arguments)
    # A data set's name finds its recipe; one without a recipe is told as a data set.
    of_dataset = RECIPES.get(overrides.get("dataset", TrainConfig().dataset), TrainConfig())
    config = dataclasses.replace(get_recipe(arguments.recipe) if arguments.recipe else of_dataset, **overrides)
    path = arguments.output or default_path(config, resume=arguments.resume is not None)
    resume = arguments.resume == "always" or (arguments.resume is not None and RunFolder(path).config_file.exists())
    if resume:
        refuse_no_run(path)
        config = dataclasses.replace(RunFolder(path).read_config(), **overrides)
    return config, path, resume


def _finish(task: Task, folder: RunFolder, *, batch_size: int) -> None:
    """Exports the best model and scores it on every held-out split; neither waits for the other to succeed."""
    model = folder.load_best_model()
    try:
        export_run(folder, model)
    finally:
        metrics = _score(model, task, folder, batch_size=batch_size)
    sys.stdout.write(_summary(task, metrics, folder))


def _score(model: keras.Model, task: Task, folder: RunFolder, *, batch_size: int) -> dict[str, dict[str, float]]:
    metrics = {}
    for split in ("validation", "test"):
        if task.examples(split):
            evaluation = evaluate_model(model, task, split, batch_size=batch_size)
            save_evaluation(evaluation, folder.evaluation / split)
            metrics[split] = evaluation.metrics
    write_json(folder.metrics_file, metrics)
    return metrics


def _summary(task: Task, metrics: dict[str, dict[str, float]], folder: RunFolder) -> str:
    lines = [f"{split} {task.headline(scores)}" for split, scores in metrics.items()]
    lines.append(f"run folder: {folder.path}")
    lines.append(f"evaluate it: python evaluate.py --saved-model {folder.export}")
    return "\n".join(lines) + "\n"
