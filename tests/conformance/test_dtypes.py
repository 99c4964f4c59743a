"""Every floating type and mixed policy: types of outputs and weights, and values as good as the type."""

import keras
import ml_dtypes
import numpy as np
import pytest

from conformance.descriptors import CONVOLUTIONS, NORMALIZATIONS, each

# The distance of 1 to the next number.
RESOLUTION = {
    "float16": np.finfo("float16").eps,
    "bfloat16": float(ml_dtypes.finfo("bfloat16").eps),
    "float32": np.finfo("float32").eps,
    "float64": np.finfo("float64").eps,
}
POLICIES = [*RESOLUTION, "mixed_float16", "mixed_bfloat16"]


def check(descriptor, policy, *, resolutions):
    layer = descriptor.build(dtype=policy)
    compute_dtype = layer.compute_dtype
    inputs = keras.ops.cast(descriptor.inputs(), compute_dtype)
    outputs = layer(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == compute_dtype
    assert all(weight.dtype == layer.variable_dtype for weight in layer.weights)
    exact_inputs = keras.ops.convert_to_numpy(keras.ops.cast(inputs, "float64"))
    expected = descriptor.expected(exact_inputs, [w.astype("float64") for w in layer.get_weights()])
    error = np.abs(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float64")) - expected)
    assert error.max() <= resolutions * RESOLUTION[compute_dtype] * np.abs(expected).max()


@pytest.mark.usefixtures("each_kernel")
@each(NORMALIZATIONS)
@pytest.mark.parametrize("policy", POLICIES)
def test_normalizations(descriptor, policy):
    # The statistics are float32 or wider, so that one rounding, of half a step, is nearly all that a
    # half-precision output shows.
    resolutions = 0.55 if "16" in policy else 8
    if descriptor.settings.get("activation") == "swish":
        resolutions += 0.55  # applied to a rounded result, where it isn't part of the kernel
    check(descriptor, policy, resolutions=resolutions)


@each(CONVOLUTIONS)
@pytest.mark.parametrize("policy", POLICIES)
def test_convolutions(descriptor, policy):
    # A convolution of rounded filters has an error of about the square root of its terms.
    check(descriptor, policy, resolutions=8)
