"""Mixed precision on two replicas: near one device, in float32 variables, with one loss scale."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.training.fit import fit, prepare
from zoo.training.loss_scale import ReplicaLossScale
from zoo.training.run_folder import RunFolder

# Half-precision gradients have 8 (bfloat16) or 11 bits; how a batch is cut in two moves what the weights moved by so
# much of it.
ALLOWED = {"mixed_bfloat16": 0.1, "mixed_float16": 0.05}


def vector(weights):
    return np.concatenate([np.ravel(weight) for weight in weights])


@pytest.mark.parametrize("precision", ALLOWED)
def test_two_replicas_train_near_one_device(tmp_path, config, task, precision):
    config = dataclasses.replace(config, precision=precision, steps=3)
    ends = {}
    for strategy in ("one", "mirrored"):
        training = prepare(dataclasses.replace(config, strategy=strategy), task)
        start = vector(training.model.get_weights())
        fit(training, RunFolder(tmp_path / strategy))
        ends[strategy] = vector(training.model.get_weights())
    assert {variable.dtype for variable in training.model.variables} == {"float32"}
    assert np.isfinite(ends["mirrored"]).all()
    moved = np.linalg.norm(ends["one"] - start)
    assert np.linalg.norm(ends["mirrored"] - ends["one"]) < ALLOWED[precision] * moved
    assert np.linalg.norm(ends["mirrored"] - start) > 0.5 * moved
    optimizer = training.trainer.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == (precision == "mixed_float16")
    if precision == "mixed_float16":
        replicas = training.trainer.distribute_strategy.experimental_local_results(optimizer.dynamic_scale.value)
        assert len({float(scale) for scale in replicas}) == 1


def steps_with_an_overflow_on_one_replica(strategy, optimizer, *, overflowing):
    """The weight, and the loss scale on each replica, after each of three steps of gradient 1; in the second, that of
    one replica overflows.
    """
    with strategy.scope():
        weight = keras.Variable(np.zeros(2, "float32"), name="weight")
        optimizer = optimizer(keras.optimizers.SGD(1.0), initial_scale=8.0)
        optimizer.build([weight])

    @tf.function
    def step(overflows):
        def of_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            here = tf.logical_and(overflows, tf.equal(replica, overflowing))
            gradient = tf.where(here, np.inf, 1.0) * optimizer.dynamic_scale.value * tf.ones(2)
            optimizer.apply_gradients([(gradient, weight)])

        strategy.run(of_replica)

    found = []
    for overflows in (False, True, False):
        step(tf.constant(overflows))
        scales = strategy.experimental_local_results(optimizer.dynamic_scale.value)
        weights = strategy.experimental_local_results(weight.value)
        found.append(([float(value[0]) for value in weights], [float(scale) for scale in scales]))
    return found


@pytest.mark.parametrize("overflowing", [0, 1])
def test_an_overflow_on_one_replica_skips_the_step_on_all(two_replicas, overflowing):
    found = steps_with_an_overflow_on_one_replica(two_replicas, ReplicaLossScale, overflowing=overflowing)
    assert found == [([-2.0, -2.0], [8.0, 8.0]), ([-2.0, -2.0], [4.0, 4.0]), ([-4.0, -4.0], [4.0, 4.0])]


def test_one_device_skips_a_step_that_overflows():
    strategy = tf.distribute.get_strategy()
    found = steps_with_an_overflow_on_one_replica(strategy, ReplicaLossScale, overflowing=0)
    assert found == [([-1.0], [8.0]), ([-1.0], [4.0]), ([-2.0], [4.0])]
