"""`sync_bn` on two replicas computes what batch normalization computes of the whole batch; `bn` doesn't."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from two_workers_job import uneven_batch

from zoo.models.norms import parse_norm
from zoo.training.checkpointing import Checkpointing
from zoo.training.fit import fit, prepare
from zoo.training.run_folder import RunFolder


def normalized(layer, batch):
    """Outputs, and the gradients of gamma and beta, of one training step."""
    with tf.GradientTape() as tape:
        outputs = layer(batch, training=True)
        loss = tf.reduce_sum(outputs**3)  # whose gradient reaches through the statistics
    return outputs, tape.gradient(loss, [layer.gamma.value, layer.beta.value])


def built(norm):
    layer = parse_norm(norm).factory("norm1")
    layer.build([None, 5, 5, 3])
    return layer


def differences(norm, strategy):
    """By name, how far two replicas are from one device with both their batches."""
    batch = uneven_batch()
    whole = built("bn")
    outputs, gradients = normalized(whole, batch)
    with strategy.scope():
        layer = built(norm)
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(batch, 2)[context.replica_id_in_sync_group])
    )
    of_replicas, gradients_of_replicas = strategy.run(tf.function(lambda x: normalized(layer, x)), args=(halves,))
    local = strategy.experimental_local_results
    pairs = {"outputs": (np.concatenate(local(of_replicas)), outputs)}
    for name, total, gradient in zip(("gamma", "beta"), gradients_of_replicas, gradients, strict=True):
        pairs[name] = (sum(part.numpy() for part in local(total)), gradient)
    for name in ("moving_mean", "moving_variance"):
        for replica, value in enumerate(local(getattr(layer, name).value)):
            pairs[f"{name} of replica {replica}"] = (value.numpy(), getattr(whole, name).numpy())
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, (a, b) in pairs.items()}


def test_two_replicas_normalize_as_one_device(two_replicas):
    found = differences("sync_bn", two_replicas)
    assert len(found) == 7
    assert max(found.values()) < 1e-5, found


def test_without_synchronization_each_replica_has_its_own_statistics(two_replicas):
    found = differences("bn", two_replicas)
    assert min(found[name] for name in found if name != "beta") > 1e-2, found


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("norm", "agrees"), [("sync_bn", True), ("bn", False)])
def test_a_training_on_two_replicas_ends_as_on_one_device(tmp_path, config, task, norm, agrees, accumulate):
    """The same examples are normalized together, also where several batches make a step."""
    config = dataclasses.replace(config, norm=norm, steps=4, accumulate=accumulate)
    task = dataclasses.replace(task, norm=norm)
    ends = []
    for strategy in ("one", "mirrored"):
        training = prepare(dataclasses.replace(config, strategy=strategy), task)
        fit(training, RunFolder(tmp_path / strategy))
        ends.append(training.model.get_weights())
    close = [np.allclose(mirrored, one, rtol=1e-4, atol=1e-5) for one, mirrored in zip(*ends, strict=True)]
    assert all(close) == agrees


class CrashError(Exception):
    """A crash, at a known place."""


def test_what_is_validated_and_saved_are_the_first_replicas_statistics(tmp_path, config, task, monkeypatch):
    """So that a resumed run, whose replicas begin with the same ones, is the run that was never killed."""
    config = dataclasses.replace(config, norm="bn", strategy="mirrored", epochs=2)
    task = dataclasses.replace(task, norm="bn")

    def run(name):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir(exist_ok=True)
        training = prepare(config, task)
        fit(training, folder, checkpoint_every="4steps")
        return training.model.get_weights(), pd.read_csv(folder.history_file)

    weights, history = run("whole")
    count = Checkpointing.on_train_batch_end

    def crash(self, batch, logs=None):
        count(self, batch, logs)
        if self.progress.step == 14:
            self.checkpoints.wait()
            raise CrashError

    monkeypatch.setattr(Checkpointing, "on_train_batch_end", crash)
    with pytest.raises(CrashError):
        run("parts")
    monkeypatch.undo()
    resumed, resumed_history = run("parts")
    for value, expected in zip(resumed, weights, strict=True):
        np.testing.assert_array_equal(value, expected)
    pd.testing.assert_frame_equal(resumed_history, history)
