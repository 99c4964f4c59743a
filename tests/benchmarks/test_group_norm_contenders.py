"""The contenders of the layer's benchmark do the work that they are compared for."""

import numpy as np
import pytest
from group_norm_cases import Case
from group_norm_tensorflow import repeated, traced
from peak_memory import peak_resident_bytes, resident_bytes


@pytest.mark.parametrize("name", ["keras_gn", "keras_bn", "portable", "native"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.usefixtures("native_kernel_is_built")
def test_forward_and_backward_give_output_and_all_gradients(name, dtype):
    shape = (2, 6, 6, 64)
    y, dx, dgamma, dbeta = traced(name, "plain", Case(shape, dtype, backward=True))()
    assert y.shape == dx.shape == shape
    assert y.dtype == dx.dtype == dtype
    assert dgamma.shape == dbeta.shape == (64,)
    assert dgamma.dtype == dbeta.dtype == "float32"
    values = np.asarray(y, "float64").reshape(2, 36, 32, 2)
    axes = (0, 1) if name == "keras_bn" else (1, 3)
    np.testing.assert_allclose(values.mean(axes), 0, atol=1e-3 if dtype == "float32" else 1e-2)
    np.testing.assert_allclose(values.std(axes), 1, atol=1e-3 if dtype == "float32" else 1e-2)


@pytest.mark.parametrize("name", ["portable", "native"])
@pytest.mark.usefixtures("native_kernel_is_built")
def test_the_kernel_is_the_one_in_the_name(name):
    step = traced(name, "plain", Case((2, 6, 6, 64), "float32", backward=False))
    operations = {operation.type for operation in step.get_concrete_function().graph.get_operations()}
    graph = step.get_concrete_function().graph.as_graph_def()
    operations |= {node.op for function in graph.library.function for node in function.node_def}
    assert ("KerasGn>GroupNormalize" in operations) == (name == "native")


@pytest.mark.parametrize("mode", ["plain", "xla"])
def test_repetitions_run(mode):
    run = repeated("portable", mode, Case((2, 6, 6, 64), "float32", backward=True))
    run(1)
    run(5)


def test_peak_memory_sees_what_is_freed_again():
    before = peak_resident_bytes()
    size = before - resident_bytes() + 50_000_000
    block = np.ones(size, np.int8)
    assert resident_bytes() >= size
    del block
    assert 25_000_000 < peak_resident_bytes() - before < 100_000_000
