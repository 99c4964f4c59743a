"""The devices that JAX trains on, as training asks for them."""

import contextlib
from typing import Any

import jax
import keras


class JaxStrategy:
    """Stands for a `tf.distribute.Strategy` where Keras computes with JAX.

    Args:
        distribution: how Keras shares batches among several devices; None for one device.
    """

    cluster_resolver = None
    """There are no other workers."""

    def __init__(self, distribution: keras.distribution.DataParallel | None) -> None:
        self.distribution = distribution

    @property
    def devices(self) -> list[str]:
        """Those that train, such as `gpu:0`."""
        if self.distribution is None:
            return keras.distribution.list_devices()[:1]
        return [str(device) for device in self.distribution.device_mesh.devices.flatten()]

    @property
    def num_replicas_in_sync(self) -> int:
        """The number of devices."""
        return len(self.devices)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where models are made, and trained, for these devices."""
        return contextlib.nullcontext() if self.distribution is None else self.distribution.scope()

    def shard(self, tensor: jax.Array, axis: int) -> jax.Array:
        """A tensor within a compiled function, shared among the devices along an axis."""
        if self.distribution is None:
            return tensor
        axes = [None] * tensor.ndim
        axes[axis] = self.distribution.batch_dim_name
        layout = keras.distribution.TensorLayout(axes, self.distribution.device_mesh)
        return keras.distribution.distribute_tensor(tensor, layout)
