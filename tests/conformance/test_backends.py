"""Values and gradients on Keras' other backends, in a process of their own, since a backend is for life."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

VALUES = """
import keras, numpy as np
from conformance.descriptors import LAYERS
for descriptor in LAYERS:
    layer, inputs = descriptor.build(), descriptor.inputs()
    outputs, expected = layer(inputs), descriptor.expected(inputs, layer.get_weights())
    outputs = keras.ops.convert_to_numpy(outputs)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5, err_msg=descriptor.name)
"""

# Compiled, since eager JAX compiles each operation; and the slope along a random direction.
JAX = """
import jax, numpy as np
from conformance.descriptors import LAYERS
for descriptor in LAYERS:
    layer, inputs = descriptor.build(), descriptor.inputs()
    expected = lambda x: descriptor.expected(x, layer.get_weights())
    generator = np.random.default_rng(2)
    upstream = generator.normal(size=expected(inputs).shape).astype("float32")
    function = jax.jit(lambda x: (layer(x), jax.grad(lambda x: (layer(x) * upstream).sum())(x)))
    outputs, gradient = (np.asarray(array) for array in function(inputs))
    np.testing.assert_allclose(outputs, expected(inputs), rtol=1e-5, atol=1e-5, err_msg=descriptor.name)
    direction = generator.normal(size=inputs.shape)
    ahead, behind = (expected(inputs + step * direction) for step in (1e-6, -1e-6))
    slope = ((ahead - behind) * upstream).sum() / 2e-6
    error = abs((gradient * direction).sum() - slope)
    # Groups of two elements have gradients near 0, which are differences of large terms.
    assert error <= 1e-5 * (np.linalg.norm(gradient) + np.linalg.norm(upstream)), descriptor.name
"""


@pytest.mark.parametrize(("backend", "code"), [("jax", JAX), ("torch", VALUES)], ids=["jax", "torch"])
def test_in_a_process_of_its_own(backend, code):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    tests = Path(__file__).resolve().parents[1]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)]),
    }
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
