"""The contenders of benchmarks/group_norm.py that compute with TensorFlow.

The repetitions of a sample are the iterations of a loop inside one TensorFlow function, as the layers of a network
are inside one: the roughly 0.1 ms that Python and TensorFlow take to start a function are not counted. In XLA's mode
the body of the loop is a compiled function of its own, or the compiler would move it out of the loop.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import tensorflow as tf
from group_norm_cases import EPSILON, GROUPS, Case, Mode

import keras_gn
from keras_gn.ops import kernel, set_kernel

Step = Callable[[], tuple[tf.Tensor, ...]]


def kernel_problem(name: str) -> str | None:
    """Why the kernel `name` can't be had here; None if it can."""
    try:
        with _kernel(name):
            used = kernel()
    except RuntimeError as error:
        return str(error)
    return None if used == name else f"the kernel in use is '{used}'"


def repeated(name: str, mode: Mode, case: Case) -> Callable[[int], None]:
    """A function that does the work of `case` so many times over, and returns when it is done."""
    once = _function(name, mode, case)

    @tf.function
    def loop(calls: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # The results are loop variables, or the graph optimizer would drop what computes them.
        _, *results = tf.while_loop(
            lambda done, *_: done < calls,
            lambda done, *_: (done + 1, *once()),
            (tf.constant(1), *once()),
            parallel_iterations=1,
        )
        return tuple(results)

    with _kernel_of(name):
        loop.get_concrete_function(tf.TensorSpec((), tf.int32))

    def run(calls: int) -> None:
        # On the CPU the call returns when it is over.
        loop(tf.constant(calls))

    return run


def traced(name: str, mode: Mode, case: Case) -> Step:
    """A function that does the work once: y, and for the backward pass the gradients to x, gamma and beta."""
    once = _function(name, mode, case)
    with _kernel_of(name):
        once.get_concrete_function()
    step: Step = once
    return step


def _function(name: str, mode: Mode, case: Case) -> Any:
    return tf.function(_step(name, case), jit_compile=mode == "xla")


def _step(name: str, case: Case) -> Step:
    x = _normal(case, seed=1)
    if name == "copy":
        return lambda: (x + 1,)
    dy = _normal(case, seed=2)
    if name == "copies":
        return lambda: (x + 1, dy + 1)
    layer = _layer(name, case)
    if not case.backward:
        return lambda: (layer(x, training=True),)
    parameters = [variable.value for variable in layer.trainable_variables]

    def forward_and_backward() -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        # y is returned too: the next layer of a network needs it, and so nothing of the forward pass is left out.
        return y, *tape.gradient(y, [x, *parameters], output_gradients=dy)

    return forward_and_backward


def _layer(name: str, case: Case) -> keras.Layer:
    # As in training: the parameters stay float32.
    dtype = "float32" if case.dtype == "float32" else f"mixed_{case.dtype}"
    layer: keras.Layer
    if name == "keras_bn":
        layer = keras.layers.BatchNormalization(epsilon=EPSILON, dtype=dtype)
    else:
        package: Any = keras if name == "keras_gn" else keras_gn
        layer = package.layers.GroupNormalization(GROUPS, epsilon=EPSILON, dtype=dtype)
    layer.build(case.shape)
    return layer


def _normal(case: Case, *, seed: int) -> tf.Tensor:
    # The op itself: tf.random.normal holds two more tensors of this size for a while, which peak memory would show.
    return tf.raw_ops.RandomStandardNormal(shape=case.shape, dtype=case.dtype, seed=seed)


def _kernel_of(name: str) -> AbstractContextManager[None]:
    """What is traced inside uses the kernel that the contender is named after."""
    return _kernel(name if name in ("portable", "native") else "auto")


@contextmanager
def _kernel(name: str) -> Iterator[None]:
    set_kernel(name)
    try:
        yield
    finally:
        set_kernel("auto")
