"""Writes a model with its task's signatures as a SavedModel that loads without this project."""

import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_gn.files import atomic_path
from zoo.errors import UserError
from zoo.export.verify import verify_saved_model
from zoo.files import write_json
from zoo.tasks import Task

_ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
# TensorFlow's place for files that travel with a SavedModel and that it doesn't read itself.
_METADATA = Path("assets.extra") / "metadata.json"


def export_saved_model(model: keras.Model, task: Task, path: Path, *, provenance: dict[str, Any]) -> None:
    """Writes `path/` and proves it before it appears there: reloaded in a process of its own, in which
    neither keras_gn nor zoo can be imported, it gives the outputs of the live model.

    The first signature of the task is also TensorFlow Serving's `serving_default`.
    `assets.extra/metadata.json` holds the class names, and `provenance` under "training".

    Raises:
        ExportError: the reloaded model differs.
    """
    signatures = task.signatures(model)
    with atomic_path(path) as temporary:
        archive = keras.export.ExportArchive()
        archive.track(model)
        for signature in signatures:
            archive.add_endpoint(signature.name, signature.graph)
        archive.write_out(str(temporary), verbose=False)
        write_json(temporary / _METADATA, {**task.metadata(), "training": provenance})
        verify_saved_model(temporary, signatures, tolerance=_tolerance(model))


def _tolerance(model: keras.Model) -> float:
    """How far two compilations of one network may be apart: a few roundings of its narrowest type."""
    return max(1e-4, *(16 * _ROUNDING.get(layer.compute_dtype, 0.0) for layer in model.layers))


def read_metadata(path: Path) -> dict[str, Any]:
    """What an exported model says of itself: task, data set, class names.

    Raises:
        UserError: the folder isn't a SavedModel that this project exported.
    """
    if not tf.saved_model.contains_saved_model(str(path)):
        raise UserError(
            f"`saved_model` must be a SavedModel folder. Received: saved_model={str(path)!r}. "
            "Give the export folder of a run."
        )
    try:
        return json.loads((path / _METADATA).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"`saved_model` must have been exported by train.py: {_METADATA} is missing. "
            f"Received: saved_model={str(path)!r}."
        ) from None
