"""evaluate.py: scores a run or a SavedModel on any split."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from zoo.cli import session
from zoo.cli.task import make_task
from zoo.errors import UserError
from zoo.export import read_metadata
from zoo.tasks import Evaluation, ImageClassification
from zoo.training import RunFolder, TrainConfig
from zoo.training.evaluation import evaluate_model, evaluate_signatures, save_evaluation


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and evaluates; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Scores a trained model: accuracy, a table by class, a confusion matrix.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, metavar="DIR", help="a run folder of train.py")
    source.add_argument("--saved-model", type=Path, metavar="DIR", help="an exported SavedModel")
    parser.add_argument("--split", default="test", help="train, validation or test (default: test)")
    parser.add_argument("--dataset", help="another data set than the model was trained on, with its classes")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data lies")
    parser.add_argument("--batch-size", type=int, metavar="N", help="images at a time")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write the results")
    return session.run(evaluate, parser.parse_args(argv))


def evaluate(arguments: argparse.Namespace) -> None:
    """Scores the model, prints the result and writes it as JSON, CSV and PNG."""
    given = {name: getattr(arguments, name) for name in ("dataset", "data_dir", "batch_size")}
    overrides = {name: value for name, value in given.items() if value is not None}
    score = _score_run if arguments.run else _score_saved_model
    evaluation, folder = score(arguments, overrides)
    output = arguments.output or folder / arguments.split
    save_evaluation(evaluation, output)
    per_class = evaluation.tables["per_class"]
    sys.stdout.write(per_class.to_string(index=False, float_format="{:.3f}".format) + "\n")
    for name, value in evaluation.metrics.items():
        sys.stdout.write(f"{arguments.split} {name}: {value:.6g}\n")
    sys.stdout.write(f"results: {output}\n")


def _score_run(arguments: argparse.Namespace, overrides: dict[str, object]) -> tuple[Evaluation, Path]:
    folder = RunFolder(arguments.run)
    config = dataclasses.replace(folder.read_config(), **overrides)
    if not folder.best_model.exists():
        raise UserError(
            f"`run` must have ended an epoch: {folder.best_model} is missing. Received: run={str(arguments.run)!r}. "
            f"Continue it with: python train.py --output {arguments.run} --resume"
        )
    task = make_task(config)
    model = keras.models.load_model(folder.best_model, compile=False)
    _require_classes(task, model.output_shape[-1])
    evaluation = evaluate_model(model, task, arguments.split, batch_size=config.batch_size)
    return evaluation, folder.evaluation


def _score_saved_model(arguments: argparse.Namespace, overrides: dict[str, object]) -> tuple[Evaluation, Path]:
    metadata = read_metadata(arguments.saved_model)
    config = dataclasses.replace(TrainConfig.from_json(metadata["training"]), **overrides)
    task = make_task(config)
    _require_classes(task, len(metadata["class_names"]))
    signatures = tf.saved_model.load(str(arguments.saved_model)).signatures
    evaluation = evaluate_signatures(signatures, task, arguments.split, batch_size=config.batch_size)
    path = arguments.saved_model.resolve()
    return evaluation, path.with_name(f"{path.name}.evaluation")


def _require_classes(task: ImageClassification, classes: int) -> None:
    names = task.dataset.class_names
    if len(names) != classes:
        raise UserError(
            f"`dataset` must have the classes of the model, {classes}. Received: "
            f"dataset={task.dataset.spec.name!r} with {len(names)} ({', '.join(names[:5])}, ...)."
        )
