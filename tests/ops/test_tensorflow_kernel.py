"""The portable kernel on TensorFlow: gradients of every order, what it keeps for them, and how it is exported."""

import gc

import numpy as np
import pytest
import tensorflow as tf
from conformance import reference
from tensorflow.python.eager import context

from keras_gn.ops import portable, tensorflow_kernel
from keras_gn.ops.layout import Layout

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "jit": lambda function: tf.function(function, jit_compile=True),
}
SETTINGS = {"groups": 2, "axis": 3, "epsilon": 1e-5}


def automatic(x, gamma, beta, *, groups, axis, epsilon):
    """The same function with TensorFlow's own gradient."""
    layout = Layout(len(x.shape), axis, x.shape[axis], groups)
    return portable.forward(x, gamma, beta, layout=layout, epsilon=epsilon)[0]


def inputs(*, shape=(2, 9, 5, 6), mean=2.0, dtype="float64"):
    generator = np.random.default_rng(0)
    x = tf.cast(generator.normal(mean, 1.0, shape), dtype)
    return x, tf.constant(np.linspace(-1, 2, shape[-1]), dtype), tf.constant(np.linspace(1, 2, shape[-1]), dtype)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_equal_the_reference(mode):
    sources = inputs()
    dy = tf.random.normal(sources[0].shape, dtype="float64")

    def gradients(*sources):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = tensorflow_kernel.normalize(*sources, **SETTINGS)
        return tape.gradient(y, sources, dy)

    expected = reference.group_normalize_gradients(dy, sources[0], sources[1], **SETTINGS)
    for result, wanted in zip(MODES[mode](gradients)(*sources), expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("mode", MODES)
def test_gradient_is_exact_where_the_mean_is_large(mode):
    """A mean of 100 deviations; dy is like the output, which the gradient of x cancels."""
    x, gamma, _ = inputs(shape=(2, 40, 50, 8), mean=100.0, dtype="float32")
    x = tf.Variable(x)
    expected = reference.group_normalize(x, **SETTINGS)
    dy = tf.constant(expected + np.random.default_rng(1).normal(size=x.shape), "float32")

    def gradient():
        with tf.GradientTape() as tape:
            y = tensorflow_kernel.normalize(x, gamma, None, **SETTINGS)
        return tape.gradient(y, x, dy)

    exact = reference.group_normalize_gradients(dy, x, gamma, **SETTINGS)[0]
    np.testing.assert_allclose(MODES[mode](gradient)(), exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("mode", MODES)
def test_second_order_gradients(mode):
    """Those of a gradient penalty: of x, gamma and beta, and of dy, which the weights w stand for."""
    sources = (*inputs(), tf.random.normal((2, 9, 5, 6), dtype="float64"))

    def penalty_gradients(kernel):
        def function(x, gamma, beta, w):
            with tf.GradientTape() as outer:
                outer.watch([x, gamma, beta, w])
                with tf.GradientTape() as inner:
                    inner.watch([x, gamma, beta])
                    loss = tf.reduce_sum(w * kernel(x, gamma, beta, **SETTINGS) ** 2)
                penalty = sum(tf.reduce_sum(tf.sin(g)) for g in inner.gradient(loss, [x, gamma, beta]))
            return outer.gradient(penalty, [x, gamma, beta, w])

        return function

    results = MODES[mode](penalty_gradients(tensorflow_kernel.normalize))(*sources)
    for result, expected in zip(results, penalty_gradients(automatic)(*sources), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


def test_variables_and_missing_parameters():
    x, gamma, beta = inputs(dtype="float32")
    parameters = [tf.Variable(gamma), tf.Variable(beta)]
    with tf.GradientTape() as tape:
        y = tensorflow_kernel.normalize(x, *parameters, **SETTINGS)
    assert all(gradient is not None for gradient in tape.gradient(y, parameters))
    np.testing.assert_allclose(
        tensorflow_kernel.normalize(x, None, None, **SETTINGS), reference.group_normalize(x, **SETTINGS), atol=1e-5
    )


def test_eager_execution_keeps_x_only():
    """Besides the output; statistics and parameters are tiny."""
    x, gamma, beta = inputs(shape=(2, 17, 13, 6), dtype="bfloat16")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tensorflow_kernel.normalize(x, gamma, beta, **SETTINGS)
    gc.collect()
    tensors = [t for t in gc.get_objects() if isinstance(t, tf.Tensor) and t.shape.num_elements() == 2 * 17 * 13 * 6]
    # custom_gradient has a second name, not a copy, of the output.
    assert [t.dtype for t in tensors] == [tf.bfloat16] * 3
    assert tape.gradient(y, x).dtype == tf.bfloat16


def test_a_graph_keeps_x_only():
    """TensorFlow's optimizer mustn't merge the casts of x in the forward and in the backward pass."""

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tensorflow_kernel.normalize(x, None, None, **SETTINGS) ** 3)
        return tape.gradient(loss, x)

    x, _, _ = inputs(dtype="bfloat16")
    context.enable_run_metadata()
    gradient(x)
    graphs = context.export_run_metadata().partition_graphs
    context.disable_run_metadata()
    nodes = {node.name: node for graph in graphs for node in graph.node}
    casts = [
        node for node in nodes.values() if node.op == "Cast" and nodes[node.input[0]].op in ("_Arg", "Placeholder")
    ]
    assert len(casts) == 2


def test_only_xla_on_a_cpu_multiplies_matrices():
    """Other devices, where an exported graph may run, round the factors."""
    signature = tf.TensorSpec([None, None, None, 6])

    def normalize(x):
        return tensorflow_kernel.normalize(x, None, None, **SETTINGS)

    plain = tf.function(normalize, input_signature=[signature]).get_concrete_function()
    jit = tf.function(normalize, input_signature=[signature], jit_compile=True).get_concrete_function()
    assert not any("MatMul" in operation.type for operation in plain.graph.get_operations())
    assert any("MatMul" in operation.type for operation in jit.graph.get_operations())


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [([None, 8], 1), ([None, None, 8], 2), ([None, 8, None, None], 1)])
def test_unknown_sizes(shape, axis, jit_compile):
    settings = {**SETTINGS, "axis": axis}

    def value_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tensorflow_kernel.normalize(x, None, None, **settings)
            loss = tf.reduce_sum(y**3)
        return y, tape.gradient(loss, x)

    traced = tf.function(value_and_gradient, input_signature=[tf.TensorSpec(shape)], jit_compile=jit_compile)
    for batch in (0, 3):
        x = tf.random.normal([batch, *[size or 9 for size in shape[1:]]])
        for result, expected in zip(traced(x), value_and_gradient(x), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("shape", [[1, 14, 14, 6], [None, None, None, 6]], ids=str)
def test_tensorflow_lite_has_all_operations(shape):
    """As built-in ones, on tensors of rank 4 at most."""
    module = tf.Module()
    module.normalize = tf.function(
        lambda x: tensorflow_kernel.normalize(x, None, None, **SETTINGS), input_signature=[tf.TensorSpec(shape)]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.normalize.get_concrete_function()], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    x = np.random.default_rng(0).normal(size=[size or 3 for size in shape]).astype("float32")
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(y, reference.group_normalize(x, **SETTINGS), rtol=1e-5, atol=1e-5)
    assert max(len(tensor["shape"]) for tensor in interpreter.get_tensor_details()) == 4
