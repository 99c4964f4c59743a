"""How far group normalization is from its float64 value, beside Keras' layer.

    python benchmarks/group_norm_accuracy.py --json FILE

Prints the largest absolute error of each contender on inputs that are hard for float32, and holds it against what is
promised: at most 1e-5 where the mean is at most 100 deviations (portable kernel) or 10,000 (native kernel), a batch
that gives what its samples give alone to 1e-6, and nowhere an error larger than Keras' in the same mode
and than the rounding of a result. Exits with 1 where one falls
short.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from checks import Check, report_checks
from machine import describe_machine
from tables import aligned
from tqdm import tqdm

from keras_gn.layers import GroupNormalization
from keras_gn.ops import set_kernel
from zoo.files import write_json


@dataclass(frozen=True)
class Inputs:
    """Normal numbers; `spread` 0 for a constant."""

    shape: tuple[int, ...]
    groups: int
    mean: float
    spread: float = 3.0
    dtype: str = "float32"
    epsilon: float = 1e-5

    @property
    def label(self) -> str:
        sizes = "x".join(str(size) for size in self.shape)
        return f"{sizes}, G={self.groups}, {self.mean:g} ± {self.spread:g}, {self.dtype}, epsilon {self.epsilon:g}"

    @property
    def means_in_deviations(self) -> float:
        return abs(self.mean) / self.spread if self.spread else 0.0


INPUTS = (
    *(Inputs((1, 600, 400, 24), 3, mean) for mean in (0.0, 50.0, 300.0, 1e4, 3e4)),
    *(Inputs((8, 56, 56, 64), 32, mean) for mean in (0.0, 300.0, 1e4)),
    Inputs((2, 7, 7, 2048), 32, 300.0),
    Inputs((1, 70_000, 4), 1, 10.0, dtype="float16"),
    Inputs((2, 14, 14, 32), 8, 60_000.0, 500.0, dtype="float16"),
    Inputs((2, 14, 14, 32), 8, 100.0, 1.0, dtype="bfloat16"),
    Inputs((2, 14, 14, 32), 8, 0.0, 1e-4, epsilon=1e-12),
    Inputs((2, 14, 14, 32), 8, 100.0, 0.0),
    Inputs((2, 14, 14, 32), 8, 0.1, 0.0, epsilon=1e-12),
)
CONTENDERS = ("Keras", "Keras, XLA", "portable", "portable, XLA", "native")
# Half a step of the type, for a result of about 5: what its rounding alone may cost.
ROUNDING = {"float32": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}


def layer_of(contender: str, inputs: Inputs) -> Callable[[tf.Tensor], tf.Tensor]:
    kind: Any = keras.layers.GroupNormalization if contender.startswith("Keras") else GroupNormalization
    layer = kind(inputs.groups, epsilon=inputs.epsilon, dtype=inputs.dtype)
    layer.build(inputs.shape)
    set_kernel("native" if contender == "native" else "portable")
    # Any batch size, so that it is traced only here, with this kernel.
    signature = [tf.TensorSpec((None, *inputs.shape[1:]), inputs.dtype)]
    function = tf.function(layer, jit_compile=contender.endswith("XLA"), input_signature=signature)
    function.get_concrete_function()
    set_kernel("auto")
    return function


def exact(x: np.ndarray, inputs: Inputs) -> np.ndarray:
    grouped = x.reshape(len(x), -1, inputs.groups, x.shape[-1] // inputs.groups)
    centred = grouped - grouped.mean(axis=(1, 3), keepdims=True)
    variance = np.square(centred).mean(axis=(1, 3), keepdims=True)
    return (centred / np.sqrt(variance + inputs.epsilon)).reshape(x.shape)


def errors(inputs: Inputs) -> dict[str, float]:
    """By contender."""
    values = np.random.default_rng(0).normal(inputs.mean, inputs.spread, inputs.shape)
    x = tf.cast(values, inputs.dtype)
    expected = exact(np.asarray(tf.cast(x, "float64")), inputs)
    results = {contender: np.asarray(tf.cast(layer_of(contender, inputs)(x), "float64")) for contender in CONTENDERS}
    return {contender: float(np.abs(result - expected).max()) for contender, result in results.items()}


def batch_difference(contender: str) -> float:
    """Between a sample in a batch and alone."""
    inputs = Inputs((4, 300, 200, 24), 3, 5.0)
    function = layer_of(contender, inputs)
    x = tf.cast(np.random.default_rng(0).normal(inputs.mean, inputs.spread, inputs.shape), "float32")
    together, alone = function(x), tf.concat([function(x[i : i + 1]) for i in range(len(x))], axis=0)
    return float(tf.reduce_max(tf.abs(together - alone)))


def checks_on(found: dict[Inputs, dict[str, float]], differences: dict[str, float]) -> list[Check]:
    checks = []
    for contender, peer, reach in (
        ("portable", "Keras", 100),
        ("portable, XLA", "Keras, XLA", 100),
        ("native", "Keras", 10_000),
    ):
        within = [
            error[contender]
            for inputs, error in found.items()
            if inputs.dtype == "float32" and inputs.means_in_deviations <= reach
        ]
        name = f"{contender}: largest error, in 1e-5, at means of up to {reach} deviations"
        checks.append(Check(name, float(np.max(within)) / 1e-5, "at most", 1.0))
        # NumPy's maximum, which keeps a NaN, of ours; one of the peer's counts for nothing.
        ratios = [error[contender] / np.fmax(error[peer], ROUNDING[inputs.dtype]) for inputs, error in found.items()]
        worst = float(np.max(ratios))
        checks.append(Check(f"{contender}: error by {peer}'s (or a rounding), worst case", worst, "at most", 1.0))
        name = f"{contender}: a sample alone against itself in a batch, in 1e-6"
        checks.append(Check(name, differences[contender] / 1e-6, "at most", 1.0))
    return checks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    found = {inputs: errors(inputs) for inputs in tqdm(INPUTS, desc="measuring", unit="input")}
    differences = {contender: batch_difference(contender) for contender in CONTENDERS}
    rows = [["largest error", *CONTENDERS]]
    rows += [[inputs.label, *(f"{error[name]:.1e}" for name in CONTENDERS)] for inputs, error in found.items()]
    rows.append(["alone against in a batch of 4", *(f"{differences[name]:.1e}" for name in CONTENDERS)])
    sys.stdout.write("\n".join(aligned(rows)) + "\n")
    checks = checks_on(found, differences)
    status = report_checks(checks)
    if arguments.json:
        content = {
            "machine": describe_machine(),
            "errors": [{"inputs": asdict(inputs), "errors": error} for inputs, error in found.items()],
            "alone_against_batch": differences,
            "checks": [check.as_json() for check in checks],
        }
        write_json(arguments.json, content)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
