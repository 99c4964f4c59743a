"""The C++ op: its values and gradients, on every instruction set, and that it is a well-behaved op."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_gn import ops

pytestmark = pytest.mark.usefixtures("native_kernel")

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-11}


@st.composite
def cases(draw):
    """A shape, either layout, and a number of groups; sizes on both sides of the tiles' and of the vectors'."""
    groups, size = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 8, 17]))
    positions = draw(st.lists(st.integers(1, 9), max_size=3))
    positions = draw(st.sampled_from([positions, [20011], [130, 131]]))
    if size * np.prod(positions, dtype=int) == 1:
        size = 2
    batch = draw(st.sampled_from([0, 1, 2, 3, 5]))
    first = draw(st.booleans())
    shape = [batch, groups * size, *positions] if first else [batch, *positions, groups * size]
    return shape, 1 if first else -1, groups


@given(
    case=cases(),
    dtype=st.sampled_from(list(TOLERANCE)),
    activation=st.sampled_from(["linear", "relu", "silu", "tanh"]),
    with_gamma=st.booleans(),
    with_beta=st.booleans(),
    mean=st.sampled_from([0.0, 2.0, -30.0]),
)
@settings(max_examples=120, deadline=None)
def test_values_and_gradients_equal_the_reference(case, dtype, activation, with_gamma, with_beta, mean):
    shape, axis, groups = case
    # What the op doesn't fuse is applied to its rounded result.
    assume(activation != "tanh" or dtype in ("float32", "float64"))
    generator = np.random.default_rng(0)
    x = tf.cast(generator.normal(mean, 2.0, shape), dtype)
    dy = tf.cast(generator.normal(size=shape), dtype)
    wide = "float64" if dtype == "float64" else "float32"
    channels = shape[axis]
    gamma = tf.constant(np.linspace(-1, 2, channels), wide) if with_gamma else None
    beta = tf.constant(np.linspace(1, -2, channels), wide) if with_beta else None
    settings = {"groups": groups, "axis": axis, "epsilon": 1e-2, "activation": activation}
    native = value_and_gradients(x, dy, gamma, beta, **settings)
    # The reference: the portable kernel in float64, which tests/ops/test_portable.py holds against NumPy.
    ops.set_kernel("portable")
    exact = value_and_gradients(*(a if a is None else tf.cast(a, tf.float64) for a in (x, dy, gamma, beta)), **settings)
    ops.set_kernel("native")
    for result, expected in zip(native, exact, strict=True):
        assert result.shape == expected.shape
        scale = max(1.0, np.abs(expected).max(initial=0.0))
        np.testing.assert_allclose(tf.cast(result, "float64") / scale, expected / scale, atol=TOLERANCE[dtype])


def value_and_gradients(x, dy, gamma, beta, **settings):
    sources = [a for a in (x, gamma, beta) if a is not None]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = ops.group_normalize(x, gamma, beta, **settings)
    return [y, *tape.gradient(y, sources, dy)]


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("mean", [0.0, 300.0, 3e4])
def test_exact_where_the_mean_is_large(mean, axis):
    """Up to a mean of 10,000 deviations."""
    x = np.random.default_rng(0).normal(mean, 3.0, (1, 300, 200, 24)).astype("float32")
    expected = reference.group_normalize(x, groups=3, epsilon=1e-5)
    y = ops.group_normalize(np.moveaxis(x, -1, axis), groups=3, axis=axis)
    assert np.abs(np.moveaxis(y, axis, -1) - expected).max() <= 2e-6


def test_a_pivot_that_is_an_outlier_costs_no_digits():
    x = np.random.default_rng(0).normal(0.0, 1.0, (2, 100, 100, 8)).astype("float32")
    x[:, 0, 0] = 1e4
    expected = reference.group_normalize(x, groups=2, epsilon=1e-5)
    y = ops.group_normalize(x, groups=2)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


DIGEST = """
import hashlib, numpy as np, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads({threads})
from keras_gn import ops
digest = hashlib.sha256()
for shape, axis in [((5, 14, 14, 96), -1), ((1, 40, 50, 64), -1), ((3, 64, 20, 30), 1), ((2, 6, 40000), 1)]:
    x = tf.constant(np.random.default_rng(0).normal(2.0, 3.0, shape).astype("float32"))
    gamma, beta = tf.linspace(-1.0, 2.0, shape[axis]), tf.linspace(1.0, 2.0, shape[axis])
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        y = ops.group_normalize(x, gamma, beta, groups=2, axis=axis, activation="silu")
    for array in [y, *tape.gradient(y, [x, gamma, beta], tf.cos(x))]:
        digest.update(np.asarray(array).tobytes())
print(digest.hexdigest())
"""


def run(code, **environment):
    root = Path(__file__).resolve().parents[3]
    paths = os.pathsep.join([str(root), str(root / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "KERAS_GN_KERNEL": "native", **environment}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_number_of_threads_changes_no_bit():
    one, two, five = (run(DIGEST.format(threads=threads)) for threads in (1, 2, 5))
    assert one == two == five


INSTRUCTION_SETS = """
import keras, numpy as np, tensorflow as tf
from conformance import reference
from keras_gn import ops
for dtype, tolerance in [("float32", 2e-6), ("float64", 1e-12), ("float16", 2e-3), ("bfloat16", 2e-2)]:
    for shape, axis in [((2, 9, 11, 40), -1), ((2, 40, 9, 11), 1), ((1, 6, 20011), 1)]:
        for activation in (None, "relu", "swish"):
            x = tf.cast(np.random.default_rng(0).normal(2.0, 3.0, shape), dtype)
            exact = np.asarray(tf.cast(x, "float64"))
            y = ops.group_normalize(x, groups=2, axis=axis, epsilon=1e-5, activation=activation)
            expected = reference.group_normalize(exact, groups=2, axis=axis, epsilon=1e-5, activation=activation)
            np.testing.assert_allclose(tf.cast(y, "float64"), expected, rtol=tolerance, atol=tolerance)
"""


@pytest.mark.parametrize("name", ["baseline", "avx2", "avx512"])
def test_every_instruction_set(name):
    """Those that the machine lacks are replaced by the best that it has."""
    run(INSTRUCTION_SETS, KERAS_GN_INSTRUCTION_SET=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_numbers_are_read_and_written_exactly(dtype):
    """Of x and -x the mean is 0 and the deviation |x|; an epsilon of its size lets the result depend on it."""
    bits = np.arange(2**16, dtype="uint16")
    values = np.asarray(tf.cast(tf.bitcast(bits, dtype), "float32"))
    finite = np.unique(np.abs(values[np.isfinite(values)]))
    finite = finite[(finite > 1e-17) & (finite < 1e17)]  # whose squares are float32 numbers, too
    for value in np.array_split(finite, 64):
        x = tf.cast(np.stack([value, -value], axis=1)[:, :, None], dtype)
        epsilon = float(np.mean(value)) ** 2
        y = np.asarray(tf.cast(ops.group_normalize(x, groups=1, epsilon=epsilon), "float64"))
        expected = value / np.sqrt(np.square(value.astype("float64")) + epsilon)
        np.testing.assert_allclose(y[:, 0, 0], expected, rtol=1e-3 if dtype == "float16" else 8e-3)
    # Written: y = 0 * gamma + beta, rounded to the nearest, ties to even, as a cast does.
    beta = np.random.default_rng(0).normal(size=4096).astype("float32") * 10.0 ** np.linspace(-9, 9, 4096)
    beta = np.concatenate([beta, [0.0, np.inf, -np.inf, np.nan, 65504.0, 65519.9, 65520.0, 6e-8, 2.9e-8]]).astype(
        "float32"
    )
    y = ops.group_normalize(tf.zeros([1, 2, len(beta)], dtype), None, beta, groups=1, epsilon=1.0)
    expected = np.broadcast_to(tf.cast(tf.cast(beta, dtype), "float32"), y.shape)
    np.testing.assert_array_equal(tf.cast(y, "float32"), expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_inf_and_nan_spoil_their_group_and_no_other(value):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    x[0, 1, 2, 3] = value
    y = np.asarray(ops.group_normalize(x, groups=3))
    layer = keras.layers.GroupNormalization(3, epsilon=1e-5)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(layer(x)))


def test_inputs_that_are_used_again_are_left_alone():
    """The op may write its result over an input, but only if nobody needs that any more."""
    values = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")

    @tf.function
    def function(x):
        x = x * 2.0
        y = ops.group_normalize(x, groups=2)
        return y, x

    y, x = function(values)
    np.testing.assert_array_equal(x, values * 2.0)
    np.testing.assert_allclose(y, ops.group_normalize(values * 2.0, groups=2))

    @tf.function
    def gradients(x, upstream):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = ops.group_normalize(x, groups=2)
        dy = upstream * 2.0
        return tape.gradient(y, x, dy), dy, tape.gradient(y, x, dy)

    first, dy, second = gradients(tf.constant(values), tf.constant(values[::-1]))
    np.testing.assert_array_equal(dy, values[::-1] * 2.0)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("activation", ["linear", "silu"])
@pytest.mark.parametrize("parameters", [True, False])
@pytest.mark.parametrize("graph", [True, False])
def test_second_derivatives(activation, parameters, graph):
    """A gradient penalty has the gradient that the portable kernel's has."""
    generator = np.random.default_rng(0)
    x = tf.constant(generator.normal(2.0, 1.0, (2, 3, 4)))
    gamma, beta = (tf.constant(generator.normal(size=4)) if parameters else None for _ in range(2))
    sources = [a for a in (x, gamma, beta) if a is not None]

    def penalty_gradients(*_):
        with tf.GradientTape() as outer:
            outer.watch(sources)
            with tf.GradientTape() as inner:
                inner.watch(sources)
                y = ops.group_normalize(x, gamma, beta, groups=2, activation=activation)
                loss = tf.reduce_sum(tf.sin(y))
            penalty = sum(tf.reduce_sum(g**2) for g in inner.gradient(loss, sources))
        return outer.gradient(penalty, sources)

    native = tf.function(penalty_gradients)() if graph else penalty_gradients()
    ops.set_kernel("portable")
    for result, expected in zip(native, penalty_gradients(), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-7, atol=1e-9)


def test_a_channel_axis_in_the_middle_takes_the_portable_kernel():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    expected = reference.group_normalize(x, groups=2, axis=2, epsilon=1e-5)
    np.testing.assert_allclose(ops.group_normalize(x, groups=2, axis=2), expected, rtol=1e-5, atol=1e-5)


def test_unknown_shapes():
    signature = [tf.TensorSpec([None, None, None, 8])]
    function = tf.function(lambda x: ops.group_normalize(x, groups=2), input_signature=signature)
    assert function.get_concrete_function().output_shapes.as_list() == [None, None, None, 8]
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype("float32")
    np.testing.assert_allclose(function(x), ops.group_normalize(x, groups=2))
