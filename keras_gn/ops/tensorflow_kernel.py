"""The portable kernel on TensorFlow: the hand-derived gradient, and sums that suit XLA."""

from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record

from keras_gn.ops import portable
from keras_gn.ops.layout import Layout
from keras_gn.ops.surroundings_kernel import on_cpu_only, under_xla
from keras_gn.ops.xla_cpu_layout import XlaCpuLayout
from keras_gn.typing import Tensor


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, groups: int, axis: int, epsilon: float
) -> Tensor:
    """`keras_gn.ops.group_normalize`, keeping x as it is and two numbers a group for the gradient."""
    layout = (XlaCpuLayout if under_xla() and on_cpu_only() else Layout)(len(x.shape), axis, x.shape[axis], groups)

    @tf.custom_gradient
    def normalize(x: Tensor, gamma: Tensor, beta: Tensor) -> Any:
        with record.stop_recording():  # or eager tapes record the steps as well, and keep what they compute
            y, mean, rstd = portable.forward(x, gamma, beta, layout=layout, epsilon=epsilon)
        return y, lambda dy: _gradient(dy, x, gamma, mean, rstd, layout=layout, epsilon=epsilon)

    return normalize(x, *portable.parameters(x, gamma, beta, layout=layout))


def _gradient(
    dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor, *, layout: Layout, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`portable.gradient`, whose own gradient takes mean and rstd for what they are: functions of x."""

    @tf.custom_gradient
    def gradient(dy: Tensor, x: Tensor, gamma: Tensor) -> Any:
        # Waiting for dy keeps TensorFlow from computing the first steps once, in the forward pass, and
        # keeping their large float32 results until now.
        with record.stop_recording(), tf.control_dependencies([dy]):
            gradients = portable.gradient(dy, x, gamma, mean, rstd, layout=layout)
        return gradients, lambda *upstream: _second_order(dy, x, gamma, upstream, layout=layout, epsilon=epsilon)

    return gradient(dy, x, gamma)


def _second_order(
    dy: Tensor, x: Tensor, gamma: Tensor, upstream: tuple[Tensor, ...], *, layout: Layout, epsilon: float
) -> list[Tensor]:
    """The gradients of dy, x and gamma, from those of the gradients."""
    with tf.GradientTape() as tape:
        tape.watch([dy, x, gamma])
        mean, rstd = portable.statistics(x, layout=layout, epsilon=epsilon)
        gradients = portable.gradient(dy, x, gamma, mean, rstd, layout=layout)
    return tape.gradient(gradients, [dy, x, gamma], output_gradients=list(upstream))
