"""Proof that a SavedModel needs nothing of this project and computes what the live model computes."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from zoo.tasks import Signature

BATCH_SIZES = (1, 3, 8)
# Two compilations of one float32 network differ by rounding only.
TOLERANCE = 1e-4

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


def verify_saved_model(path: Path, signatures: list[Signature]) -> None:
    """Compares every signature of the SavedModel at `path`, reloaded in a process that can import neither
    keras_gn nor zoo nor keras, with its live function, at batch sizes 1, 3 and 8.

    Raises:
        RuntimeError: it doesn't load, or an output differs by more than 1e-4 of its largest value.
    """
    inputs = {}
    live = {}
    for signature in signatures:
        for batch_size in BATCH_SIZES:
            key = f"{signature.name}/{signature.spec.name}/{batch_size}"
            example = signature.example(batch_size)
            outputs = signature.function(example)
            live.update({f"{key}/{name}": value.numpy() for name, value in outputs.items()})
            inputs[key] = example
    reloaded = _reload_elsewhere(path, inputs)
    if reloaded.keys() != live.keys():
        raise RuntimeError(f"The SavedModel returns {sorted(reloaded)}, the live model {sorted(live)}.")
    for key, expected in live.items():
        _compare(key, reloaded[key], expected)


def _reload_elsewhere(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        inputs_file, outputs_file = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        np.savez(inputs_file, **inputs)
        command = [sys.executable, "-c", _RELOAD, str(path), str(inputs_file), str(outputs_file)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        if done.returncode:
            raise RuntimeError(f"The SavedModel doesn't load without this project:\n{done.stderr[-2000:]}")
        with np.load(outputs_file, allow_pickle=False) as outputs:
            return dict(outputs)


def _compare(key: str, reloaded: np.ndarray, live: np.ndarray) -> None:
    if live.dtype.kind == "f":
        scale = max(float(np.abs(live).max(initial=0)), 1.0)
        difference = float(np.abs(reloaded - live).max(initial=0))
        if not difference <= TOLERANCE * scale:  # also true for NaN
            raise RuntimeError(f"The SavedModel differs from the live model in {key} by {difference:.3g}.")
    elif not np.array_equal(reloaded, live.astype(reloaded.dtype)):
        raise RuntimeError(f"The SavedModel differs from the live model in {key}.")
