"""Traces training steps on two logical CPUs, and counts their collective operations; asked by benchmarks/scaling.py.

Nothing is computed: the operations and the shapes of what they sum are read from the graph of the step.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from worker import serve

import zoo
from zoo.training.config import TrainConfig
from zoo.training.distribute import make_strategy
from zoo.training.optimizer import make_optimizer
from zoo.training.tensorflow_trainer import TensorFlowTrainer

_SIZE, _CLASSES, _BATCH = 32, 10, 2


def collectives(model: str, norm: str, clip_norm: float | None) -> dict[str, int]:
    """In one step of a replica: the trainable parameters, collective operations, and the values that they sum."""
    strategy = make_strategy("mirrored")
    with strategy.scope():
        built = zoo.build(model, norm, num_classes=_CLASSES, input_shape=(_SIZE, _SIZE, 3))
        trainer = TensorFlowTrainer(built)
        trainer.compile(
            optimizer=make_optimizer(TrainConfig(clip_norm=clip_norm), 0.1, built),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        trainer.optimizer.build(trainer.trainable_variables)
    batch = tf.zeros([_BATCH, _SIZE, _SIZE, 3]), tf.zeros([_BATCH], tf.int32)

    @tf.function
    def step() -> Any:
        return strategy.run(trainer.train_step, args=(batch,))

    summed = [
        operation.inputs[0].shape.num_elements() for operation in _collectives(step.get_concrete_function().graph)
    ]
    replicas = strategy.num_replicas_in_sync
    return {
        "parameters": sum(variable.shape.num_elements() for variable in trainer.trainable_variables),
        "collectives": len(summed) // replicas,
        "values": sum(summed) // replicas,
    }


def _collectives(graph: Any) -> Iterator[Any]:
    return (operation for operation in graph.get_operations() if operation.type.startswith("CollectiveReduce"))


def main() -> None:
    device = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [device, device])
    serve({"collectives": collectives})


if __name__ == "__main__":
    main()
