"""evaluate.py: scores a run or a SavedModel on any split."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from zoo.cli import command
from zoo.cli.task import load_dataset, make_task, prepared_spec, refuse_foreign_fields, refuse_other_classes
from zoo.errors import UserError
from zoo.export import read_metadata
from zoo.tasks import Evaluation, Task
from zoo.training.backend import leave_gpus_to_backend
from zoo.training.config import TrainConfig
from zoo.training.evaluation import evaluate_model, evaluate_signatures, save_evaluation
from zoo.training.run_folder import RunFolder


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and evaluates; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Scores a trained model: accuracy and confusion matrix, or average precision and a gallery.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, metavar="DIR", help="a run folder of train.py")
    source.add_argument("--saved-model", type=Path, metavar="DIR", help="an exported SavedModel")
    parser.add_argument("--split", default="test", help="train, validation or test (default: test)")
    parser.add_argument("--dataset", help="another data set than the model was trained on, with its classes")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data lies")
    parser.add_argument("--on-corrupt", metavar="NAME", help="a corrupt image: refuse or skip (default: as trained)")
    parser.add_argument("--views", metavar="CLIPSxCROPS", help="of a video, as 10x1 or 10x3 (default: as trained)")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="images at a time, on one device (default: as trained)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write the results")
    return command.run(evaluate, parser.parse_args(argv))


def evaluate(arguments: argparse.Namespace) -> None:
    """Scores the model, prints the result and writes it as JSON, CSV and PNG."""
    score = _score_run if arguments.run else _score_saved_model
    evaluation, folder = score(arguments)
    output = arguments.output or folder / _label(arguments)
    save_evaluation(evaluation, output)
    per_class = evaluation.tables["per_class"]
    sys.stdout.write(per_class.to_string(index=False, float_format="{:.3f}".format) + "\n")
    for name, value in evaluation.metrics.items():
        sys.stdout.write(f"{arguments.split} {name}: {value:.6g}\n")
    sys.stdout.write(f"results: {output}\n")


def _label(arguments: argparse.Namespace) -> str:
    """The folder of the results: that of the split, unless other data were scored than the run's own."""
    other = [arguments.dataset, arguments.data_dir and Path(arguments.data_dir).resolve().name]
    return "-".join([arguments.split, *filter(None, other)])


def _score_run(arguments: argparse.Namespace) -> tuple[Evaluation, Path]:
    leave_gpus_to_backend()
    folder = RunFolder(arguments.run)
    trained, described = folder.read_config(), folder.read_task()
    model = folder.load_best_model()
    task, config = _task(arguments, trained, described)
    evaluation = evaluate_model(model, task, arguments.split, batch_size=config.batch_size)
    return evaluation, folder.evaluation


def _score_saved_model(arguments: argparse.Namespace) -> tuple[Evaluation, Path]:
    metadata = read_metadata(arguments.saved_model)
    logging.getLogger("absl").addFilter(_concerns_scores)
    try:
        signatures = tf.saved_model.load(str(arguments.saved_model)).signatures
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"`saved_model` can't be read: {error}. Export it again.") from error
    trained = TrainConfig.from_json(metadata["training"])
    if trained.views is not None:  # the SavedModel cuts out the middle
        trained = dataclasses.replace(trained, views=trained.views.partition("x")[0] + "x1")
    task, config = _task(arguments, trained, metadata)
    evaluation = evaluate_signatures(signatures, task, arguments.split, batch_size=config.batch_size)
    path = arguments.saved_model.resolve()
    return evaluation, path.with_name(f"{path.name}.evaluation")


def _concerns_scores(record: logging.LogRecord) -> bool:
    """Not so TensorFlow's line, for each normalization, that its gradient wasn't saved: nothing is trained."""
    return "unsaved custom gradients" not in record.getMessage()


def _task(
    arguments: argparse.Namespace, trained: TrainConfig, described: Mapping[str, Any]
) -> tuple[Task, TrainConfig]:
    """The data to score on, prepared as the model was trained, and with its classes in its order."""
    given = {name: getattr(arguments, name) for name in ("data_dir", "on_corrupt", "batch_size", "views")}
    changes = {name: value for name, value in given.items() if value is not None}
    if arguments.dataset is not None:
        changes = {"data_dir": None, **changes, "dataset": arguments.dataset}
    config = dataclasses.replace(trained, **changes)
    refuse_foreign_fields(config, given=changes)
    dataset = load_dataset(config)
    refuse_other_classes(config, dataset, described)
    as_trained = dataclasses.replace(trained, views=config.views)
    dataset = dataclasses.replace(dataset, spec=prepared_spec(as_trained))
    return make_task(config, dataset, described=described), config
