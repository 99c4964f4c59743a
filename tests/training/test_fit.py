import dataclasses
import os
import signal
import time

import keras
import numpy as np
import pandas as pd
import pytest

from zoo.errors import UserError
from zoo.training import checkpoint
from zoo.training.checkpoint import newest_first
from zoo.training.checkpointing import Checkpointing
from zoo.training.fit import StopAfter, fit, prepare
from zoo.training.nan_guard import NanGuard
from zoo.training.preemption import PreemptedError
from zoo.training.run_folder import RunFolder


class CrashError(Exception):
    """A crash, at a known place."""


def weights_after(config, task, folder):
    folder.path.mkdir(exist_ok=True)
    training = prepare(config, task)
    fit(training, folder)
    return training.model.get_weights()


def assert_close(values, references, **tolerance):
    for value, reference in zip(values, references, strict=True):
        np.testing.assert_allclose(value, reference, **tolerance)


@pytest.fixture(scope="module")
def whole(config, task, tmp_path_factory):
    """The weights and the history of the run that nothing interrupts."""
    folder = RunFolder(tmp_path_factory.mktemp("whole"))
    return weights_after(config, task, folder), pd.read_csv(folder.history_file)


def test_a_run_learns_and_leaves_what_it_promises(tmp_path, config, task):
    folder = RunFolder(tmp_path)
    config = dataclasses.replace(config, optimizer="adamw", learning_rate=2e-3)
    fit(prepare(config, task), folder)
    history = pd.read_csv(folder.history_file)
    assert list(history["epoch"]) == [1, 2, 3]
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    assert {"accuracy", "val_loss", "val_accuracy", "learning_rate"} <= set(history)
    assert folder.curves_file.read_bytes().startswith(b"\x89PNG")
    assert list(folder.logs.rglob("events*"))
    assert len(list(folder.checkpoints.iterdir())) == 2
    assert keras.models.load_model(folder.best_model).output_shape == (None, 10)


def test_a_run_resumed_after_a_crash_ends_with_the_same_weights(tmp_path, config, task, monkeypatch):
    changes = {"optimizer": "adamw", "precision": "mixed_float16", "accumulate": 2, "ema": 0.9}
    config = dataclasses.replace(config, **changes)
    whole = weights_after(config, task, RunFolder(tmp_path / "whole"))

    from zoo.training.recorder import Recorder

    end_of_epoch = Recorder.on_epoch_end

    def crash(self, epoch, logs=None):
        if epoch == 1:
            raise CrashError
        end_of_epoch(self, epoch, logs)

    monkeypatch.setattr(Recorder, "on_epoch_end", crash)
    with pytest.raises(CrashError):
        weights_after(config, task, RunFolder(tmp_path / "parts"))
    monkeypatch.undo()
    resumed = weights_after(config, task, RunFolder(tmp_path / "parts"))
    assert_close(resumed, whole, rtol=0, atol=0)
    first, second = (pd.read_csv(RunFolder(tmp_path / name).history_file) for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(("last", "every"), [(13, "5steps"), (20, "7steps"), (24, "0.2"), (3, "1epoch")])
def test_a_run_killed_within_an_epoch_ends_with_the_same_weights_and_history(
    tmp_path, config, task, whole, last, every, monkeypatch
):
    """Ten batches an epoch."""
    count = Checkpointing.on_train_batch_end

    def crash(self, batch, logs=None):
        count(self, batch, logs)
        if self.progress.step == last:
            self.checkpoints.wait()
            raise CrashError

    monkeypatch.setattr(Checkpointing, "on_train_batch_end", crash)
    folder = RunFolder(tmp_path / "parts")
    folder.path.mkdir()
    with pytest.raises(CrashError):
        fit(prepare(config, task), folder, checkpoint_every=every)
    monkeypatch.undo()
    assert_close(weights_after(config, task, folder), whole[0], rtol=0, atol=0)
    pd.testing.assert_frame_equal(pd.read_csv(folder.history_file), whole[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_of_the_last_step(tmp_path, config, task, whole, monkeypatch, number):
    folder = RunFolder(tmp_path / "parts")
    folder.path.mkdir()
    begin = StopAfter.on_train_batch_end

    def terminate(self, batch, logs=None):
        begin(self, batch, logs)
        if int(self.model.optimizer.iterations) == 14:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(StopAfter, "on_train_batch_end", terminate)
    before = signal.getsignal(number)
    with pytest.raises(PreemptedError) as ended:
        fit(prepare(config, task), folder)
    assert ended.value.by_user == (number == signal.SIGINT)
    assert signal.getsignal(number) is before
    assert newest_first(folder.checkpoints)[0].name == "step_00000014"
    monkeypatch.undo()
    assert_close(weights_after(config, task, folder), whole[0], rtol=0, atol=0)


def test_a_signal_while_the_last_checkpoint_is_written_is_heard(tmp_path, config, task, monkeypatch):
    """Three epochs of ten batches."""
    write = checkpoint._write

    def terminate_and_write(target, *content):
        if target.name == "step_00000030":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)
        write(target, *content)

    monkeypatch.setattr(checkpoint, "_write", terminate_and_write)
    with pytest.raises(PreemptedError):
        fit(prepare(config, task), RunFolder(tmp_path))
    assert newest_first(RunFolder(tmp_path).checkpoints)[0].name == "step_00000030"


def test_accumulated_batches_are_one_large_one(tmp_path, config, task):
    config = dataclasses.replace(config, epochs=1, learning_rate=0.1, clip_norm=0.1)
    large = dataclasses.replace(config, batch_size=96)
    whole = weights_after(large, task, RunFolder(tmp_path / "whole"))
    for strategy in ("one", "mirrored"):
        parts = dataclasses.replace(config, accumulate=3, strategy=strategy)
        folder = RunFolder(tmp_path / strategy)
        assert_close(weights_after(parts, task, folder), whole, rtol=1e-4, atol=1e-5)
        first, second = (pd.read_csv(each.history_file) for each in (folder, RunFolder(tmp_path / "whole")))
        pd.testing.assert_frame_equal(first, second, rtol=1e-4)


def test_the_seed_decides_the_weights(tmp_path, config, task):
    config = dataclasses.replace(config, epochs=1)
    first = weights_after(config, task, RunFolder(tmp_path / "1"))
    again = weights_after(config, task, RunFolder(tmp_path / "2"))
    other = weights_after(dataclasses.replace(config, seed=1), task, RunFolder(tmp_path / "3"))
    assert_close(again, first, rtol=0, atol=0)
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_two_replicas_train_as_one(tmp_path, config, task, optimizer):
    # The clip is far below the gradient's norm: clipped by replica, the steps would differ.
    config = dataclasses.replace(config, epochs=1, clip_norm=0.1, optimizer=optimizer, learning_rate=0.01, ema=0.9)
    one = weights_after(config, task, RunFolder(tmp_path / "one"))
    mirrored = weights_after(dataclasses.replace(config, strategy="mirrored"), task, RunFolder(tmp_path / "two"))
    assert_close(mirrored, one, rtol=1e-4, atol=1e-5)
    averaged, of_one = (
        keras.models.load_model(RunFolder(tmp_path / name).best_model).get_weights() for name in ("two", "one")
    )
    assert_close(averaged, of_one, rtol=1e-4, atol=1e-5)
    assert any(not np.allclose(average, own, rtol=1e-3) for average, own in zip(of_one, one, strict=True))


def test_models_of_other_shapes_train_in_one_process(tmp_path, config, task):
    config = dataclasses.replace(config, epochs=1, strategy="mirrored")
    for norm in ("gn:groups=4", "none"):
        weights = weights_after(config, dataclasses.replace(task, norm=norm), RunFolder(tmp_path / norm))
        assert all(np.isfinite(value).all() for value in weights)


def test_two_replicas_train_in_mixed_precision(tmp_path, config, task):
    config = dataclasses.replace(
        config, epochs=1, strategy="mirrored", precision="mixed_float16", clip_norm=1.0, ema=0.9
    )
    before = prepare(config, task).model.get_weights()
    after = weights_after(config, task, RunFolder(tmp_path / "run"))
    assert all(np.isfinite(value).all() for value in after)
    assert any(not np.array_equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 31}, r"`batch_size` .* multiple of their number, 2.*Choose 30; or 1 replicas"),
        ({"jit": "on"}, r"`jit` must be off or auto on several logical CPUs"),
    ],
)
def test_what_replicas_cannot_do_is_refused(config, task, changes, message):
    with pytest.raises(UserError, match=message):
        prepare(dataclasses.replace(config, strategy="mirrored", **changes), task)


def test_steps_end_the_run_in_the_middle_of_an_epoch(tmp_path, config, task):
    config = dataclasses.replace(config, steps=7, accumulate=2)
    training = prepare(config, task)
    fit(training, RunFolder(tmp_path))
    assert int(training.trainer.optimizer.iterations) == 7
    assert len(pd.read_csv(RunFolder(tmp_path).history_file)) == 2


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path, config, task):
    folder = RunFolder(tmp_path)
    fit(prepare(dataclasses.replace(config, epochs=1), task), folder)
    kept = folder.best_model.read_bytes()
    training = prepare(dataclasses.replace(config, epochs=2, learning_rate=1e30), task)
    with pytest.raises(UserError, match=r"The loss and the weights must be finite.*step \d+ of epoch 2.*step_00000010"):
        fit(training, folder)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step_00000010"]
    assert folder.best_model.read_bytes() == kept


def test_weights_ruined_by_the_last_step_are_not_saved(tmp_path, config, task):
    model = prepare(config, task).model
    guard = NanGuard(tmp_path)
    guard.set_model(model)
    guard.on_epoch_end(0, {"loss": 1.0})
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    with pytest.raises(UserError, match="loss=nan at the weights after epoch 1"):
        guard.on_epoch_end(0, {"loss": 1.0})


def test_replicas_validate_a_last_batch_smaller_than_their_number(tmp_path, config, task, digits):
    splits = {**digits.splits, "validation": digits.splits["validation"].take(range(33))}
    task = dataclasses.replace(task, dataset=dataclasses.replace(digits, splits=splits))
    weights_after(dataclasses.replace(config, strategy="mirrored", epochs=1), task, RunFolder(tmp_path / "run"))


def test_without_validation_the_newest_model_is_the_best(tmp_path, config, task, digits):
    splits = {name: records for name, records in digits.splits.items() if name != "validation"}
    task = dataclasses.replace(task, dataset=dataclasses.replace(digits, splits=splits))
    folder = RunFolder(tmp_path)
    trained = weights_after(config, task, folder)
    assert_close(keras.models.load_model(folder.best_model).get_weights(), trained, rtol=0, atol=0)


def test_mixed_precision_computes_in_half_and_stores_in_single(config, task):
    training = prepare(dataclasses.replace(config, precision="mixed_bfloat16"), task)
    assert {layer.compute_dtype for layer in training.model.layers} >= {"bfloat16", "float32"}
    assert {str(weight.dtype) for weight in training.model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_a_batch_larger_than_the_data_is_refused(config, task):
    with pytest.raises(UserError, match="`batch_size` times `accumulate` must be at most the 320"):
        prepare(dataclasses.replace(config, batch_size=321), task)
