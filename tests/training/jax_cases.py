"""What `test_jax.py` has a process with Keras on JAX, and two virtual devices, run by pytest."""

import dataclasses
import os
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from zoo.errors import UserError
from zoo.training.checkpoint import newest_first
from zoo.training.checkpointing import Checkpointing
from zoo.training.distribute import make_strategy
from zoo.training.fit import fit, prepare
from zoo.training.run_folder import RunFolder


class CrashError(Exception):
    """A crash, at a known place."""


def train(config, task, path, **settings):
    """The weights of a run, and its history."""
    folder = RunFolder(path)
    folder.path.mkdir(exist_ok=True)
    training = prepare(config, task)
    fit(training, folder, **settings)
    return training.model.get_weights(), pd.read_csv(folder.history_file)


def assert_same(run, reference, *, rtol, atol):
    for value, expected in zip(run[0], reference[0], strict=True):
        np.testing.assert_allclose(value, expected, rtol=rtol, atol=atol)
    pd.testing.assert_frame_equal(run[1], reference[1], rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("norm", "changes"),
    [
        ("gn:groups=4", {"accumulate": 3, "clip_norm": 0.1}),  # far below the gradient's norm
        ("bn", {"optimizer": "adamw", "learning_rate": 1e-3}),
        ("bn", {"accumulate": 3, "ema": 0.9}),
    ],
)
def test_two_devices_train_as_one(tmp_path, config, task, digits, norm, changes):
    """Batch normalization too: its statistics are of the whole batch. 33 validation images are no multiple of 2."""
    splits = {**digits.splits, "validation": digits.splits["validation"].take(range(33))}
    task = dataclasses.replace(task, norm=norm, dataset=dataclasses.replace(digits, splits=splits))
    config = dataclasses.replace(config, norm=norm, steps=4, **changes)
    one = train(config, task, tmp_path / "one")
    two = train(dataclasses.replace(config, strategy="mirrored"), task, tmp_path / "two")
    assert_same(two, one, rtol=1e-4, atol=1e-5)


def test_the_devices_share_a_batch(config, task):
    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    trainer = prepare(dataclasses.replace(config, strategy="mirrored"), task).trainer
    assert all(len(weight.value.sharding.device_set) == 2 for weight in trainer.weights)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_run_killed_within_an_epoch_ends_with_the_same_weights_and_history(
    tmp_path, config, task, precision, monkeypatch, caplog
):
    """Ten batches an epoch."""
    config = dataclasses.replace(config, epochs=2, precision=precision, ema=0.9)
    before = prepare(config, task).model.get_weights()
    whole = train(config, task, tmp_path / "whole")
    assert all(np.isfinite(value).all() for value in whole[0])
    assert any(not np.array_equal(a, b) for a, b in zip(whole[0], before, strict=True))
    count = Checkpointing.on_train_batch_end

    def crash(self, batch, logs=None):
        count(self, batch, logs)
        if self.progress.batch == 7:
            self.checkpoints.wait()
            raise CrashError

    monkeypatch.setattr(Checkpointing, "on_train_batch_end", crash)
    with pytest.raises(CrashError):
        train(config, task, tmp_path / "parts", checkpoint_every="5steps")
    monkeypatch.undo()
    assert [path.name for path in newest_first(tmp_path / "parts" / "checkpoints")] == ["step_00000005"]
    caplog.set_level("INFO")
    assert_same(train(config, task, tmp_path / "parts"), whole, rtol=0, atol=0)
    assert "goes on after step 5" in caplog.text


def test_two_devices_end_when_they_no_longer_get_better(tmp_path, config, task):
    config = dataclasses.replace(config, strategy="mirrored", epochs=6, patience=2, learning_rate=1e-12)
    assert list(train(config, task, tmp_path)[1]["epoch"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jit": "off"}, "`jit` must be auto or on with JAX"),
        ({"norm": "sync_bn+ws"}, r"`norm` sync_bn is TensorFlow's.*Choose bn\+ws"),
        ({"strategy": "multi_worker"}, "`strategy` multi_worker trains on TensorFlow only"),
        ({"strategy": "tpu"}, "`strategy` tpu is TensorFlow's.*Choose mirrored"),
        ({"strategy": "mirrored", "batch_size": 31}, "multiple of their number, 2.*Choose 30"),
    ],
)
def test_what_does_not_run_on_jax_is_refused(config, task, changes, message):
    with pytest.raises(UserError, match=message):
        prepare(dataclasses.replace(config, **changes), task)


def test_several_workers_are_refused_rather_than_each_trained_alone(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    with pytest.raises(UserError, match="`strategy` multi_worker trains on TensorFlow only"):
        make_strategy.__wrapped__("auto")


def test_the_devices_of_a_cpu_are_only_taken_when_asked_for():
    assert make_strategy("auto").num_replicas_in_sync == 1


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, config, task):
    training = prepare(config, task)
    training.model.weights[0].assign(np.full(training.model.weights[0].shape, np.nan))
    with pytest.raises(UserError, match=r"The loss and the weights must be finite.*step 1 of epoch 1"):
        fit(training, RunFolder(tmp_path))


def test_from_the_weights_of_tensorflow(tmp_path, config, task):
    """For the other process to compare with."""
    folder = Path(os.environ["KERAS_GN_JAX_FOLDER"])
    task = dataclasses.replace(task, initial_weights=folder / "start.keras")
    weights, history = train(dataclasses.replace(config, steps=5), task, tmp_path)
    np.savez(folder / "weights.npz", *weights)
    history.to_csv(folder / "history.csv", index=False)
    assert keras.backend.backend() == "jax"
