"""What each worker of test_two_workers.py does: python two_workers_job.py FOLDER, by the launcher."""

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.models.norms import parse_norm
from zoo.tasks import ImageClassification
from zoo.training.agreement import Agreement
from zoo.training.checkpoint import Checkpoints, Progress
from zoo.training.checkpointing import Checkpointing
from zoo.training.config import TrainConfig
from zoo.training.distribute import make_strategy, sum_over_workers
from zoo.training.fit import fit, prepare
from zoo.training.preemption import Preemption
from zoo.training.run_folder import RunFolder

TRAINING, VALIDATION = range(64), range(1000, 1033)
PRECISIONS = ("mixed_bfloat16", "mixed_float16")
SIGTERM_STEP = 30
CRASH_STEP = 6  # of 12, in the middle of the second epoch

computed: list[int] = []


class CrashError(Exception):
    """A crash, of all workers at once."""


class Numbered(ImageClassification):
    """The digits, each with its number for a label; `computed` has those whose loss was computed here."""

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        tf.numpy_function(lambda numbers: computed.extend(numbers.tolist()), [labels], [])
        return super().loss(labels % 10, outputs)


def numbered_digits() -> data.Dataset:
    dataset = data.load("digits")
    splits = {
        name: data.Records(np.array(numbers), dataset.splits[name].take(range(len(numbers))).images)
        for name, numbers in (("train", TRAINING), ("validation", VALIDATION))
    }
    spec = dataclasses.replace(dataset.spec, image_size=8, augmentation="none")
    return dataclasses.replace(dataset, splits=splits, spec=spec)


def train(
    strategy: str, precision: str, folder: Path, *, epochs: int = 1, **settings: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The weights before and after some epochs; a checkpoint every two steps."""
    config = TrainConfig(
        model="simplenet",
        norm="gn:groups=4",
        batch_size=16,
        epochs=epochs,
        learning_rate_batch=None,
        strategy=strategy,
        precision=precision,
        **{"learning_rate": 0.02, "ema": 0.9, **settings},
    )
    task = Numbered(dataset=numbered_digits(), model=config.model, norm=config.norm)
    training = prepare(config, task)
    before = vector(training.model)
    folder.mkdir(parents=True, exist_ok=True)
    fit(training, RunFolder(folder), checkpoint_every="2steps")
    return before, vector(training.model)


def train_and_crash(strategy: str, folder: Path) -> None:
    """Three epochs, of which half are done."""
    count = Checkpointing.on_train_batch_end

    def crash(self: Checkpointing, batch: int, logs: dict[str, float] | None = None) -> None:
        count(self, batch, logs)
        if self.progress.step == CRASH_STEP:
            self.checkpoints.wait()
            self.agreement.wait_for_all()
            raise CrashError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpointing, "on_train_batch_end", crash)
        with contextlib.suppress(CrashError):
            train(strategy, "float32", folder, epochs=3)


def steps_restored() -> list[int]:
    """A list that gets the step of each checkpoint that is restored from now on, 0 where there is none."""
    steps: list[int] = []
    restore = Checkpoints.restore

    def restore_and_tell(self: Checkpoints) -> Progress:
        progress = restore(self)
        steps.append(progress.step)
        return progress

    Checkpoints.restore = restore_and_tell
    return steps


def vector(model: keras.Model) -> np.ndarray:
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


def uneven_batch() -> np.ndarray:
    """Eight examples; the second half has another mean and deviation than the first."""
    batch = np.random.default_rng(0).normal(size=[8, 5, 5, 3]).astype("float32")
    batch[4:] = 3 * batch[4:] + 2
    return batch


def normalize(norm: str, index: int) -> dict[str, np.ndarray]:
    """What a norm makes of this worker's half of the uneven batch, and its moving variance afterwards."""
    strategy = make_strategy("multi_worker")
    half = tf.constant(np.split(uneven_batch(), 2)[index])
    with strategy.scope():
        layer = parse_norm(norm).factory("norm1")
        layer.build([None, *half.shape[1:]])
    outputs = strategy.run(tf.function(lambda x: layer(x, training=True)), args=(half,))
    outputs = strategy.experimental_local_results(outputs)[0].numpy()
    variance = keras.ops.convert_to_numpy(layer.moving_variance)
    return {f"{norm} outputs": outputs, f"{norm} moving_variance": variance}


def last_step(index: int) -> int:
    """The step after which this worker ends; only worker 1 is sent SIGTERM."""
    strategy = make_strategy("multi_worker")
    with Preemption() as preemption:
        agreement = Agreement(strategy, preemption, seconds=0.3)
        for step in range(1, 1000):
            time.sleep(0.01)
            sum_over_workers(strategy, 0)  # as the gradients' sum, it waits for the other worker
            if step == SIGTERM_STEP and index == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            if agreement.ends_after_step():
                agreement.wait_for_all()
                return step
    return -1


def main() -> None:
    folder = Path(sys.argv[1])
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    make_strategy("multi_worker")
    found = {"folder": np.array(str(folder))}
    for precision in PRECISIONS:
        _, found[precision] = train("multi_worker", precision, folder / precision)
        found[f"{precision} computed"] = np.array(computed)
        computed.clear()
    resumed = steps_restored()
    _, found["begun on one device"] = train("multi_worker", "float32", folder / "begun on one device", epochs=3)
    found["resumed after"] = np.array(resumed.pop())
    standing = {"learning_rate": 1e-12, "ema": None, "patience": 2}
    train("multi_worker", "float32", folder / "standing", epochs=6, **standing)
    train_and_crash("multi_worker", folder / "begun by two workers")
    for norm in ("sync_bn", "bn"):
        found |= normalize(norm, index)
    found["last step"] = np.array(last_step(index))
    np.savez(folder / f"worker_{index}.npz", **found)
    sum_over_workers(make_strategy("multi_worker"), 0)  # the end of a worker would end the other


if __name__ == "__main__":
    main()
