"""`sync_bn` on two replicas computes what batch normalization computes of the whole batch; `bn` doesn't."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from two_workers_job import uneven_batch

from zoo.models.norms import parse_norm
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


@pytest.mark.parametrize(("norm", "agrees"), [("sync_bn", True), ("bn", False)])
def test_a_training_on_two_replicas_ends_as_on_one_device(tmp_path, config, task, norm, agrees):
    config = dataclasses.replace(config, norm=norm, steps=4)
    task = dataclasses.replace(task, norm=norm)
    ends = []
    for strategy in ("one", "mirrored"):
        training = prepare(dataclasses.replace(config, strategy=strategy), task)
        fit(training, RunFolder(tmp_path / strategy))
        ends.append(training.model.get_weights())
    close = [np.allclose(mirrored, one, rtol=1e-4, atol=1e-5) for one, mirrored in zip(*ends, strict=True)]
    assert all(close) == agrees
