"""Scores a model on a split and writes what a person wants to see of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_gn.files import atomic_path
from zoo.files import write_json
from zoo.tasks import Evaluation, Task
from zoo.training.backend import training_backend

# A SavedModel's signature: keyword arguments of tensors in, a dict of tensors out.
Serve = Callable[..., dict[str, tf.Tensor]]
_Results = Iterator[tuple[Any, Any]]


def evaluate_model(model: keras.Model, task: Task, split: str, *, batch_size: int) -> Evaluation:
    """Scores a live model on every example of `split`."""

    predict = training_backend().predictor(model)

    def results() -> _Results:
        for inputs, labels in tqdm(task.evaluation_batches(split, batch_size), desc=split, unit="batches"):
            yield _arrays(labels), task.prediction(_arrays(predict(_arrays(inputs))))

    return task.evaluate(results(), split)


def evaluate_signatures(signatures: dict[str, Serve], task: Task, split: str, *, batch_size: int) -> Evaluation:
    """Scores a SavedModel through its signatures: raw pixels or encoded files in."""

    def results() -> _Results:
        with tqdm(desc=split, unit="examples", total=task.examples(split)) as bar:
            for batch in task.serving_batches(split, batch_size):
                yield batch.labels, task.served_prediction(_arrays(signatures[batch.signature](**batch.inputs)))
                bar.update(batch.examples)

    return task.evaluate(results(), split)


def save_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Writes `metrics.json`, a CSV for every table, a PNG for every picture and the JSON files."""
    write_json(folder / "metrics.json", evaluation.metrics)
    for name, table in evaluation.tables.items():
        with atomic_path(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    for name, picture in evaluation.pictures.items():
        with atomic_path(folder / f"{name}.png") as temporary:
            picture.savefig(temporary, dpi=120, bbox_inches="tight")
    for name, content in evaluation.files.items():
        write_json(folder / f"{name}.json", content, indent=None)


def _arrays(tensors: Any) -> Any:
    return keras.tree.map_structure(np.asarray, tensors)
