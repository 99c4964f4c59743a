"""Proof that a SavedModel needs nothing of this project and computes what the live model computes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.tasks import Signature

# None in sys.modules makes an import fail, whatever is installed.
_RELOAD = """
import sys
sys.modules.update(dict.fromkeys(("keras_gn", "zoo", "keras")))
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2], allow_pickle=False)
outputs = {}
for key in inputs.files:
    signature, name = key.split("/")[:2]
    result = model.signatures[signature](**{name: tf.constant(inputs[key])})
    outputs.update({f"{key}/{output}": value.numpy() for output, value in result.items()})
outputs = {key: value.astype(np.bytes_) if value.dtype == object else value for key, value in outputs.items()}
np.savez(sys.argv[3], **outputs)
"""


class ExportError(UserError):
    """A SavedModel that isn't what it should be; it was not kept."""


def verify_saved_model(path: Path, signatures: list[Signature], *, tolerance: float) -> None:
    """Compares every signature of the SavedModel at `path`, reloaded in a process that can import neither
    keras_gn nor zoo nor keras, with its live graph, at batch sizes 1, 3 and 8.

    Both run on the CPU: the other process would find the memory of a GPU taken.

    Raises:
        ExportError: it doesn't load, or an output differs by more than `tolerance` of its largest value (or
            of 1, where that is more).
    """
    inputs = {}
    live = {}
    for signature in signatures:
        for batch_size in signature.batch_sizes:
            key = f"{signature.name}/{signature.spec.name}/{batch_size}"
            inputs[key] = signature.example(batch_size)
            with tf.device("CPU:0"):
                outputs = signature.graph(tf.constant(inputs[key]))
            live.update({f"{key}/{name}": value.numpy() for name, value in outputs.items()})
    reloaded = _reload_elsewhere(path.resolve(), inputs)
    if reloaded.keys() != live.keys():
        raise ExportError(f"The SavedModel returns {sorted(reloaded)}, the live model {sorted(live)}.")
    for key, expected in live.items():
        _compare(key, reloaded[key], expected, tolerance)


def _reload_elsewhere(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        inputs_file, outputs_file = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        np.savez(inputs_file, **inputs)
        command = [sys.executable, "-c", _RELOAD, str(path), str(inputs_file), str(outputs_file)]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
        if done.returncode:
            raise ExportError(f"The SavedModel doesn't load without this project:\n{done.stderr[-2000:]}")
        with np.load(outputs_file, allow_pickle=False) as outputs:
            return dict(outputs)


def _compare(key: str, reloaded: np.ndarray, live: np.ndarray, tolerance: float) -> None:
    if live.dtype.kind == "f":
        scale = max(float(np.abs(live).max(initial=0)), 1.0)
        difference = float(np.abs(reloaded - live).max(initial=0))
        if not difference <= tolerance * scale:  # also true for NaN
            raise ExportError(f"The SavedModel differs from the live model in {key} by {difference:.3g}.")
    elif not np.array_equal(reloaded, live.astype(reloaded.dtype)):
        raise ExportError(f"The SavedModel differs from the live model in {key}.")
