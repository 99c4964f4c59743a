"""A worker of benchmarks/convert_applications.py: takes one model through one step after the other when asked.

convert_applications_worker.py NAME
"""

import gc
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from convert_applications_builders import all_layers, batch_norms, build, randomize_batch_norms
from convert_applications_steps import STEPS
from timing import alternate
from worker import serve

from keras_gn.convert import conversion_report, convert_bn_to_gn
from keras_gn.layers import GroupNormalization

Answer = dict[str, Any]

_ROUNDS = 3  # Builds and conversions that are timed.
_BATCH = 2
_TOLERANCE = 1e-4  # Of what a SavedModel puts out, by the largest of the outputs.


class Application:
    """One model of keras.applications, and what it becomes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self) -> Answer:
        keras.utils.set_random_seed(0)
        self._model = build(self._name)
        randomize_batch_norms(self._model)
        shape = self._model.input_shape[1:]
        self._images = np.random.default_rng(1).normal(size=(_BATCH, *shape)).astype("float32")
        return {
            "batch_norms": len(batch_norms(self._model)),
            "parameters": self._model.count_params(),
            "input_shape": shape,
        }

    def convert(self) -> Answer:
        before, weights_before = _other_weights(self._model), _all_weights(self._model)
        self._converted = convert_bn_to_gn(self._model)
        kept = conversion_report(self._converted).kept
        problems = _describe_differences(self._model, self._converted)
        if len(batch_norms(self._converted)) != len(kept):
            problems.append(f"{len(batch_norms(self._converted))} BatchNormalization left, {len(kept)} in the report")
        changed = before ^ _other_weights(self._converted)
        if changed:
            problems.append(f"other weights changed: {', '.join(sorted({layer for layer, _ in changed}))}")
        if _all_weights(self._model) != weights_before:
            problems.append("the input model has changed")
        self._output_shape = self._model.output_shape
        return {"kept": len(kept), "problems": problems}

    def time(self) -> Answer:
        """The median seconds of building and of converting, each of which was done once before."""
        samplers = {
            "build_seconds": lambda: _seconds(lambda: build(self._name)),
            "convert_seconds": lambda: _seconds(lambda: convert_bn_to_gn(self._model)),
        }
        samples = alternate(samplers, rounds=_ROUNDS)
        del self._model
        return {name: statistics.median(seconds) for name, seconds in samples.items()}

    def forward(self) -> Answer:
        outputs = self._outputs()
        problems = [] if np.isfinite(outputs).all() else ["outputs aren't finite"]
        if outputs.shape != (_BATCH, *self._output_shape[1:]):
            problems.append(f"outputs have the shape {outputs.shape}")
        return {"problems": problems}

    def train(self) -> Answer:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._converted.compile(keras.optimizers.SGD(0.01), loss, jit_compile=False)
        before = _all_weights(self._converted)
        value = float(self._converted.train_on_batch(self._images, np.arange(_BATCH)))
        problems = [] if np.isfinite(value) else [f"the loss is {value}"]
        if _all_weights(self._converted) == before:
            problems.append("no weight has changed")
        return {"problems": problems}

    def reload(self) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            self._converted.save(path)
            reloaded = keras.models.load_model(path)
        same = np.array_equal(self._outputs(), _array(reloaded(self._images, training=False)))
        return {"problems": [] if same else ["other outputs"]}

    def export(self) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            self._converted.export(folder, verbose=False)
            reloaded = tf.saved_model.load(folder)  # A name of its own: the function alone wouldn't keep its variables.
            served = _array(reloaded.serve(self._images))
        outputs = self._outputs()
        error = np.abs(served - outputs).max() / np.abs(outputs).max()
        # A NaN would pass as no error.
        return {"problems": [] if error <= _TOLERANCE else [f"outputs differ by {error:.1e}"]}

    def _outputs(self) -> np.ndarray:
        return _array(self._converted(self._images, training=False))


def _seconds(function: Callable[[], object]) -> float:
    gc.collect()  # Large models: the memory of one is needed for the next.
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def _digest(variable: keras.Variable) -> str:
    return hashlib.sha256(_array(variable).tobytes()).hexdigest()


def _all_weights(model: keras.Model) -> list[str]:
    return [_digest(variable) for variable in model.variables]


def _other_weights(model: keras.Model) -> set[tuple[str, tuple[str, ...]]]:
    """Of each layer but the normalizations its name and the digests of its weights."""
    norms = (keras.layers.BatchNormalization, GroupNormalization)
    return {
        (layer.name, tuple(f"{variable.name} {_digest(variable)}" for variable in layer.variables))
        for layer in all_layers(model)
        if not isinstance(layer, (*norms, keras.Model))
    }


def _describe_differences(model: keras.Model, converted: keras.Model) -> list[str]:
    names, converted_names = ([layer.name for layer in all_layers(one)] for one in (model, converted))
    if names == converted_names:
        return []
    different = (Counter(names) - Counter(converted_names)) + (Counter(converted_names) - Counter(names))
    return [f"other names of layers: {', '.join(sorted(different)) or 'another order'}"]


def main() -> None:
    application = Application(sys.argv[1])
    serve({step: getattr(application, step) for step in STEPS})


if __name__ == "__main__":
    main()
