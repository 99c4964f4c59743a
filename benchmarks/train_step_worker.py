"""A worker of benchmarks/train_step.py: has one model, and does one step of training or inference when asked.

train_step_worker.py JSON    with the fields of `Model`
"""

import json
import sys
import time
from typing import Any

import keras
import numpy as np
from peak_memory import peak_resident_bytes
from train_step_cases import Contender
from worker import serve

import zoo
from keras_gn.ops import kernel, set_kernel

_WARM_UP = 2


def _keras_group_norm(name: str) -> keras.Layer:
    return keras.layers.GroupNormalization(32, epsilon=1e-5, name=name)


_NORMS: dict[str, Any] = {"gn": "gn", "keras_gn": _keras_group_norm, "bn": "bn"}
_JIT_COMPILE: dict[str, dict[str, bool]] = {
    "default": {},
    "plain": {"jit_compile": False},
    "xla": {"jit_compile": True},
}


class Model:
    """A contender's model, compiled as a user would, and one batch of data."""

    def __init__(self, contender: dict[str, Any], model: str, image_size: int, batch_size: int) -> None:
        self._contender = Contender(**contender)
        keras.utils.set_random_seed(0)
        shape = (image_size, image_size, 3)
        self._model = zoo.build(model, norm=_NORMS[self._contender.norm], num_classes=1000, input_shape=shape)
        self._model.compile(
            optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            **_JIT_COMPILE[self._contender.compile],
        )
        random = np.random.default_rng(0)
        self._images = keras.ops.convert_to_tensor(random.standard_normal((batch_size, *shape), dtype="float32"))
        self._labels = keras.ops.convert_to_tensor(random.integers(1000, size=batch_size))

    def prepare(self) -> dict[str, Any]:
        """Traces and compiles; the way that Keras and keras_gn chose, or why there is none."""
        try:
            set_kernel(self._contender.kernel)
        except RuntimeError as error:
            return {"problem": str(error)}
        for _ in range(_WARM_UP):
            self.train_step()
            self.predict_step()
        xla = bool(self._model.jit_compile)
        ours = self._contender.norm == "gn"
        return {"xla": xla, "kernel": ("portable" if xla else kernel()) if ours else None}

    def train_step(self) -> float:
        """Seconds; the loss comes back as a number, so the step is over."""
        start = time.perf_counter()
        self._model.train_on_batch(self._images, self._labels)
        return time.perf_counter() - start

    def predict_step(self) -> float:
        """Seconds; the logits come back as an array."""
        start = time.perf_counter()
        self._model.predict_on_batch(self._images)
        return time.perf_counter() - start

    def peak_bytes(self) -> int:
        return peak_resident_bytes()


def main() -> None:
    model = Model(**json.loads(sys.argv[1]))
    serve({name: getattr(model, name) for name in ("prepare", "train_step", "predict_step", "peak_bytes")})


if __name__ == "__main__":
    main()
