"""A worker of benchmarks/model_garden.py: our Mask R-CNN with Group Normalization, one step when asked.

model_garden_worker.py JSON    with the fields of `Model`
"""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from model_garden_cases import CLASSES, WEIGHT_DECAY, scene
from peak_memory import peak_resident_bytes, resident_bytes
from worker import serve

import zoo
from zoo.training.native_kernel import prepare_native_kernel

# Model Garden's numbers, where ours are others.
NUMBERS = {"sampling_ratio": 1, "rpn_beta": 1 / 9, "box_beta": 1.0}
_AFTER_IMPORTS = resident_bytes()


class Model:
    """The model, compiled as a user would, and one batch of data."""

    def __init__(self, work: str, batch_size: int, image_size: int, model: str, options: Mapping[str, Any]) -> None:
        prepare_native_kernel()
        keras.utils.set_random_seed(0)
        self._training = work == "training"
        chosen = {**NUMBERS, **options, "num_classes": CLASSES, "input_shape": (image_size, image_size, 3), "seed": 0}
        self._model = zoo.build(model, **chosen)
        self._model.compile(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=WEIGHT_DECAY))
        batch = scene(batch_size=batch_size, image_size=image_size)
        self._batch = {name: tf.constant(value) for name, value in batch.items() if self._training or name == "image"}
        self._outcome: dict[str, Any] = {}

    def prepare(self) -> dict[str, Any]:
        """Traces and warms up; what the work led to."""
        if not self._training:
            self._make_sure()
        for _ in range(2):
            self.step()
        if self._training:
            return {"parameters": self._model.count_params(), "loss": float(self._outcome["loss"])}
        detections = [int(count) for count in self._outcome["num_detections"]]
        return {"parameters": self._model.count_params(), "detections": detections}

    def _make_sure(self) -> None:
        """Fresh weights find nothing; with these there is something to suppress, as on their side."""
        kernel = self._model.box_head.get_layer("class_logits").kernel
        kernel.assign(np.random.default_rng(0).normal(scale=0.3, size=kernel.shape))

    def step(self) -> float:
        """Seconds; what the step gave has been read, so it is over."""
        start = time.perf_counter()
        if self._training:
            self._outcome = self._model.train_on_batch(self._batch, return_dict=True)
        else:
            self._outcome = self._model.predict_on_batch(self._batch)
        return time.perf_counter() - start

    def memory(self) -> int:
        """Bytes: the most that was ever resident, less what was after the imports."""
        return peak_resident_bytes() - _AFTER_IMPORTS


def main() -> None:
    model = Model(**json.loads(sys.argv[1]))
    serve({name: getattr(model, name) for name in ("prepare", "step", "memory")})


if __name__ == "__main__":
    main()
