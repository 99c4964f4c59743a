"""The native kernel on tensors: the C++ op, its gradients, and where it may be used."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import record

from keras_gn.callers import inside_keras_trainer
from keras_gn.ops import tensorflow_kernel as portable
from keras_gn.ops.native.library import load
from keras_gn.ops.native.saved_model_kernel import refuse_native_op
from keras_gn.ops.surroundings_kernel import on_cpu_only, under_xla
from keras_gn.typing import Tensor

refuse_native_op()

# The activations that the op applies itself.
_FUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": keras.activations.linear,
    "relu": keras.activations.relu,
    "silu": keras.activations.silu,
}


def normalize(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    *,
    groups: int,
    axis: int,
    epsilon: float,
    activation: Callable[[Tensor], Tensor],
) -> Tensor:
    """`keras_gn.ops.group_normalize` for a channel axis that is the first or the last after the batch.

    ReLU and SiLU are part of the op; other activations are applied to its result.
    """
    fused = next((name for name, function in _FUSED.items() if function is activation), None)
    wide = tf.float64 if x.dtype == tf.float64 else tf.float32
    absent = tf.zeros([0], wide)
    y, *_ = load().keras_gn_group_normalize(
        x,
        absent if gamma is None else tf.cast(gamma, wide),
        absent if beta is None else tf.cast(beta, wide),
        tf.constant(epsilon, tf.float64),
        groups=groups,
        channels_last=axis == len(x.shape) - 1,
        activation=fused or "linear",
    )
    return y if fused else activation(y)


def usable_here(*, in_any_graph: bool) -> bool:
    """Whether the op may be used at this point of the program.

    Always in eager execution, never under XLA, which has no such op. A graph that is being traced may be meant for
    export, where nobody has the op, unless it computes gradients or belongs to Keras' `fit`, `evaluate` or
    `predict`; `in_any_graph` takes that risk. Saving a graph that has the op is refused (saved_model_kernel.py). On a
    machine with a GPU the op is for those who ask for it, since tensors would come back to the CPU.
    """
    if under_xla():
        return False
    if in_any_graph:
        return True
    return on_cpu_only() and (tf.executing_eagerly() or record.could_possibly_record() or inside_keras_trainer())


@tf.RegisterGradient("KerasGn>GroupNormalize")
def _gradient(op: Any, dy: Tensor, *_: Any) -> list[Tensor | None]:
    x, gamma, beta, epsilon = op.inputs
    dx, dgamma, dbeta = load().keras_gn_group_normalize_gradient(
        x, dy, gamma, beta, epsilon, *op.outputs[1:], **_attributes(op)
    )
    return [dx, dgamma if _present(gamma) else None, dbeta if _present(beta) else None, None]


@tf.RegisterGradient("KerasGn>GroupNormalizeGradient")
def _gradient_of_gradient(op: Any, *upstream: Tensor) -> list[Tensor | None]:
    """By differentiating the portable kernel twice, with mean and deviation as functions of x."""
    x, dy, gamma, beta, epsilon = op.inputs[:5]
    attributes = _attributes(op)
    parameters = [parameter for parameter in (gamma, beta) if _present(parameter)]
    with tf.GradientTape() as outer:
        outer.watch([x, dy, *parameters])
        with tf.GradientTape() as inner:
            inner.watch([x, *parameters])
            y = portable.normalize(
                x,
                gamma if _present(gamma) else None,
                beta if _present(beta) else None,
                groups=attributes["groups"],
                axis=len(x.shape) - 1 if attributes["channels_last"] else 1,
                epsilon=tf.cast(epsilon, gamma.dtype),
            )
            y = _FUSED[attributes["activation"]](y)
        gradients = inner.gradient(y, [x, *parameters], dy)
    upstream_of_used = [upstream[0], *_where_present(upstream[1:], (gamma, beta))]
    found = iter(outer.gradient(gradients, [x, dy, *parameters], upstream_of_used))
    return [next(found), next(found), *(next(found) if _present(p) else None for p in (gamma, beta)), *[None] * 3]


def _attributes(op: Any) -> dict[str, Any]:
    activation = op.get_attr("activation")
    return {
        "groups": op.get_attr("groups"),
        "channels_last": op.get_attr("channels_last"),
        "activation": activation.decode() if isinstance(activation, bytes) else activation,
    }


def _present(parameter: Tensor) -> bool:
    """False for the empty tensor that stands for a gamma of 1 or a beta of 0."""
    return bool(parameter.shape[0] != 0)


def _where_present(values: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
    return [value for value, parameter in zip(values, parameters, strict=True) if _present(parameter)]
