"""Training on TensorFlow: the strategies of tf.distribute."""

import functools
import json
import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from zoo.errors import UserError
from zoo.training.cluster import slurm_tf_config, workers_in_environment
from zoo.training.config import TrainConfig
from zoo.training.tensorflow_trainer import TensorFlowTrainer

TRAINER = TensorFlowTrainer
COMPUTES_WITH_TENSORFLOW = True


def has_several_accelerators() -> bool:
    """Whether `auto` is worth more than one device."""
    return len(tf.config.list_logical_devices("GPU")) > 1


def device_names(strategy: tf.distribute.Strategy) -> list[str]:
    """Those of this process."""
    return list(strategy.extended.worker_devices)


def refuse(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
    """XLA doesn't run on several logical CPUs."""
    replicas = strategy.num_replicas_in_sync
    if replicas > 1 and config.jit == "on" and not tf.config.list_logical_devices("GPU"):
        raise UserError(
            f"`jit` must be off or auto on several logical CPUs, where XLA doesn't run. Received: jit='on' on "
            f"{replicas} replicas. Choose --jit off or --strategy one."
        )


def use_jit(config: TrainConfig, strategy: tf.distribute.Strategy) -> bool:
    """Whether the step is compiled by XLA: with `auto`, on one GPU only. XLA doesn't run on several logical CPUs."""
    if config.jit != "auto":
        return config.jit == "on"
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    return on_gpu and strategy.num_replicas_in_sync == 1


def synchronize(model: keras.Model) -> None:
    """Batch normalization's moving statistics are each replica's own: all get those of the first."""
    _first_of_replicas(model)()


@functools.cache
def _first_of_replicas(model: keras.Model) -> Callable[[], Any]:
    strategy = model.distribute_strategy
    values = [variable.value for variable in model.non_trainable_variables if variable.dtype.startswith("float")]
    if not values or strategy.num_replicas_in_sync == 1:
        return lambda: None

    def take_first() -> None:
        replica = tf.distribute.get_replica_context()
        is_first = replica.replica_id_in_sync_group == 0
        own = [tf.where(is_first, value, tf.zeros_like(value)) for value in values]
        for value, first in zip(values, replica.all_reduce(tf.distribute.ReduceOp.SUM, own), strict=True):
            value.assign(first)

    return tf.function(lambda: strategy.run(take_first))


@functools.cache
def predictor(model: keras.Model) -> Callable[[Any], Any]:
    """Once, by this process: Keras' own prediction runs on every replica, and returns all of their outputs."""
    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)


def _one_device() -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(_local_devices()[0])


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    """One strategy a process: each counts its collective operations from the same number, and TensorFlow aborts when
    two models of different shapes use one number.
    """
    return tf.distribute.MirroredStrategy(_local_devices())


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    workers = workers_in_environment()
    if workers and "chief" in json.loads(os.environ["TF_CONFIG"])["cluster"]:
        raise UserError("`TF_CONFIG` must list all processes as workers, of which 0 is the chief. Received: a chief.")
    if workers:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        os.environ["TF_CONFIG"] = slurm_tf_config()
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    else:
        raise UserError(
            "`strategy` multi_worker needs workers in the environment variable TF_CONFIG, or a Slurm step. Start it by "
            "`python -m zoo.training.launch --workers 2 train.py ...` on one machine; docs/clusters.md shows more. A "
            "run that several workers began also goes on on one device: add --strategy one, or mirrored."
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        raise UserError(f"`strategy` multi_worker must be made before TensorFlow computes anything: {error}") from error


@functools.cache
def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"`strategy` tpu needs a TPU, and TensorFlow finds none ({error}). Choose another.") from error
    return tf.distribute.TPUStrategy(resolver)


def _local_devices() -> list[str]:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


STRATEGIES = {"one": _one_device, "mirrored": _mirrored, "multi_worker": _multi_worker, "tpu": _tpu}
