"""group_normalize against the float64 reference, where float32 is hard, and with bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gn.ops import group_normalize

TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "float64": 1e-12}


@st.composite
def cases(draw):
    """An input, its channel axis and a number of groups that leaves more than one element a group."""
    groups, size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    positions = draw(st.lists(st.integers(1, 5), max_size=3))
    if size * np.prod(positions, dtype=int) == 1:
        size = 2
    shape = [draw(st.integers(0, 3)), *positions]
    axis = draw(st.integers(1, len(shape)))
    shape.insert(axis, groups * size)
    mean, deviation = draw(st.floats(-3, 3)), draw(st.floats(0.5, 3))
    x = np.random.default_rng(draw(st.integers(0, 99))).normal(mean, deviation, shape)
    axis = axis - len(shape) if draw(st.booleans()) else axis
    return x, axis, -1 if size == 1 and draw(st.booleans()) else groups


@given(
    case=cases(),
    dtype=st.sampled_from(list(TOLERANCE)),
    activation=st.sampled_from(list(reference.ACTIVATIONS)),
    with_gamma=st.booleans(),
    with_beta=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_equals_the_reference(case, dtype, activation, with_gamma, with_beta):
    x, axis, groups = case
    x = keras.ops.cast(x, dtype)
    channels = x.shape[axis]
    gamma = np.linspace(-1, 2, channels).astype("float32") if with_gamma else None
    beta = np.linspace(3, -2, channels).astype("float32") if with_beta else None
    settings = {"groups": groups, "axis": axis, "epsilon": 1e-2, "activation": activation}
    y = group_normalize(x, gamma, beta, **settings)
    assert y.dtype == x.dtype
    assert y.shape == x.shape
    exact = keras.ops.convert_to_numpy(keras.ops.cast(x, "float64"))
    expected = reference.group_normalize(exact, gamma, beta, **settings)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.ops.cast(y, "float64")),
        expected,
        rtol=TOLERANCE[dtype],
        atol=TOLERANCE[dtype],
    )


def large_map(*, batch, mean, deviation, shape=(600, 400, 24)):
    return np.random.default_rng(0).normal(mean, deviation, (batch, *shape)).astype("float32")


def fast_reference(x, *, groups, epsilon=1e-5):
    """The float64 reference for large channels-last maps."""
    grouped = x.astype("float64").reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean = grouped.mean(axis=(1, 3), keepdims=True)
    variance = np.square(grouped - mean).mean(axis=(1, 3), keepdims=True)
    return ((grouped - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (50.0, 3.0), (50.0, 0.5), (-1000.0, 10.0)])
def test_large_map_at_batch_1_is_exact(mean, deviation):
    x = large_map(batch=1, mean=mean, deviation=deviation)
    expected = fast_reference(x, groups=3)
    for function in (group_normalize, tf.function(group_normalize, jit_compile=True)):
        error = np.abs(np.asarray(function(x, groups=3)) - expected).max()
        assert error <= 2e-6


def test_one_odd_region_does_not_spoil_the_rest():
    """A black border or an outlier must not make the centre of the moments a bad one."""
    x = large_map(batch=1, mean=100.0, deviation=1.0, shape=(200, 200, 4))
    x[:, :2] = 0.0
    x[:, 100, 100] = 1e4
    expected = fast_reference(x, groups=2)
    error = np.abs(np.asarray(group_normalize(x, groups=2)) - expected)
    assert np.median(error) <= 1e-6
    assert error.max() <= 1e-6 * np.abs(expected).max()


def test_gradient_is_exact_where_the_mean_is_large():
    x = large_map(batch=2, mean=50.0, deviation=0.5, shape=(40, 50, 8))
    upstream = np.random.default_rng(1).normal(size=x.shape).astype("float32")

    def gradient(x, dtype):
        x = tf.constant(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = group_normalize(x, groups=2)
        return np.asarray(tape.gradient(y, x, output_gradients=tf.constant(upstream, dtype)))

    exact = gradient(x, "float64")
    np.testing.assert_allclose(gradient(x, "float32"), exact, atol=2e-6 * np.abs(exact).max())


@pytest.mark.parametrize("shape", [(600, 400, 6), (240_000, 6), (7, 9, 6)])
def test_a_large_sample_alone_equals_the_sample_in_a_batch(shape):
    x = large_map(batch=3, mean=5.0, deviation=3.0, shape=shape)
    together = np.asarray(group_normalize(x, groups=3))
    for i in range(len(x)):
        alone = np.asarray(group_normalize(x[i : i + 1], groups=3))[0]
        np.testing.assert_allclose(alone, together[i], rtol=1e-6, atol=1e-6)


def test_constant_input_gives_beta():
    y = group_normalize(np.full((2, 5, 5, 4), 1e4, "float32"), None, np.arange(4.0), groups=2)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(4.0), (2, 5, 5, 4)), atol=1e-6)


def test_float16_beyond_its_range_of_squares():
    x = np.array([[60000.0, -60000.0, 1.0, 3.0]], "float16")
    np.testing.assert_allclose(group_normalize(x, groups=2), [[1.0, -1.0, -1.0, 1.0]], atol=1e-3)


def test_second_derivatives_flow():
    """Gradient penalties need them; the centre, through which no gradient flows, must not cut any off."""
    x = np.random.default_rng(0).normal(3.0, 1.0, (1, 6))
    direction = np.arange(6.0)

    def first_derivative(x):
        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(group_normalize(x, groups=2) ** 3)
        return tf.reduce_sum(tape.gradient(y, x) * direction)

    point = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = first_derivative(point)
    for i, slope in enumerate(np.asarray(tape.gradient(value, point))[0]):
        step = np.zeros_like(x)
        step[0, i] = 1e-5
        expected = (first_derivative(x + step) - first_derivative(x - step)) / 2e-5
        np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_integers_are_treated_as_float32():
    y = group_normalize(np.array([[0, 2, 5, 9]]), groups=2, epsilon=0.0)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    np.testing.assert_allclose(y, [[-1.0, 1.0, -1.0, 1.0]], rtol=1e-6)


def test_functional_model_of_ops():
    """At batch 1, channels-first, with as many channels as columns: where ops.add mistakes a bias."""
    image = keras.Input(batch_shape=(1, 4, 3, 4))
    beta = np.arange(4.0, dtype="float32")
    model = keras.Model(image, group_normalize(image, None, beta, groups=2, axis=1))
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 4)).astype("float32")
    expected = reference.group_normalize(x, None, beta, groups=2, axis=1, epsilon=1e-5)
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-5)


def test_the_graph_stays_within_the_rank_of_the_input():
    """GPU delegates of TensorFlow Lite take tensors of rank 4 at most."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 8])])
    def function(x):
        return group_normalize(x, groups=2)

    operations = function.get_concrete_function().graph.get_operations()
    assert max(out.shape.rank or 0 for operation in operations for out in operation.outputs) == 4


@pytest.mark.usefixtures("each_kernel")
@pytest.mark.parametrize("name", ["gamma", "beta"])
@pytest.mark.parametrize("shape", [(12,), (1, 6), (0,), ()])
def test_parameters_of_a_wrong_shape(name, shape):
    with pytest.raises(ValueError, match=rf"`{name}` must have one value for each of the 6 channels"):
        group_normalize(np.ones((2, 4, 6), "float32"), groups=2, **{name: np.ones(shape, "float32")})


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((2, 4, 6), {"groups": 4}, r"channels \(6\) must be a multiple of the number of groups \(4\)"),
        ((2, 4, 6), {"groups": 4}, r"Use one of 1, 2, 3, 6\. Received: groups=4"),
        ((2, 4, 6), {"groups": 7}, "cannot be more than the number of channels"),
        ((2, 4, 6), {"groups": 0}, "must be a multiple of the number of groups"),
        ((2, 4, 6), {"groups": -2}, "must be a multiple of the number of groups"),
        ((2, 4, 6), {"groups": 2, "axis": 0}, "axis 0 is the batch axis"),
        ((2, 4, 6), {"groups": 2, "axis": -3}, "axis 0 is the batch axis"),
        ((2, 4, 6), {"groups": 2, "axis": 3}, r"`axis` is out of bounds.*-3 to 2.*Received: axis=3"),
        ((6,), {"groups": 2}, "axis 0 is the batch axis"),
        ((2, 6), {"groups": -1}, "Each group must have more than one element"),
        ((2, 1, 1, 6), {"groups": 6}, "Use fewer groups"),
        ((0, 6), {"groups": 6}, r"Received: groups=6, input shape=\(0, 6\)"),
    ],
)
def test_bad_input(shape, arguments, message):
    with pytest.raises(ValueError, match=message):
        group_normalize(np.ones(shape, "float32"), **arguments)
