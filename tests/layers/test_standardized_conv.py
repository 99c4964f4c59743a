"""StandardizedConv2D and StandardizedConv3D as drop-ins for the convolutions of Keras."""

import keras
import numpy as np
import pytest
from conformance import reference

from keras_gn.layers import StandardizedConv2D, StandardizedConv3D

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 5, 4)).astype("float32")
CLIPS = np.random.default_rng(0).normal(size=(2, 3, 6, 5, 4)).astype("float32")
PAIRS = [
    (StandardizedConv2D, keras.layers.Conv2D, IMAGES),
    (StandardizedConv3D, keras.layers.Conv3D, CLIPS),
]


@pytest.mark.parametrize(("layer", "plain", "inputs"), PAIRS)
def test_equals_the_plain_convolution_with_a_standardized_kernel(layer, plain, inputs):
    # Positional: kernel size, strides, padding.
    ours, theirs = layer(6, 3, 1, "same"), plain(6, 3, 1, "same")
    ours.build(inputs.shape)
    theirs.build(inputs.shape)
    kernel, bias = ours.get_weights()
    theirs.set_weights([reference.standardize_weight(kernel, epsilon=1e-10), bias])
    np.testing.assert_allclose(ours(inputs), theirs(inputs), rtol=1e-4, atol=1e-4)
    assert ours.get_config().keys() - theirs.get_config().keys() == {"standardize_epsilon"}
    assert [w.name for w in ours.weights] == ["kernel", "bias"]


def test_kernel_is_the_learned_one():
    layer = StandardizedConv2D(6, 3)
    layer(IMAGES)
    kernel = layer.get_weights()[0]
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert abs(kernel.std() - 1) > 0.5


def test_scale_and_offset_of_the_kernel_do_not_matter():
    layer = StandardizedConv2D(6, 3)
    before = layer(IMAGES)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * 7.0 - 2.0, bias])
    np.testing.assert_allclose(layer(IMAGES), before, rtol=1e-4, atol=1e-4)


def test_mixed_float16_standardizes_in_float32():
    """A kernel of mean 1 and deviation 1e-3 has few float16 digits left about its mean."""
    exact, mixed = StandardizedConv2D(6, 3), StandardizedConv2D(6, 3, dtype="mixed_float16")
    exact.build(IMAGES.shape)
    mixed.build(IMAGES.shape)
    kernel = np.random.default_rng(0).normal(1.0, 1e-3, exact.kernel.shape)
    for layer in (exact, mixed):
        layer.set_weights([kernel, np.zeros(6)])
    outputs = mixed(IMAGES)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    np.testing.assert_allclose(outputs, exact(IMAGES), atol=0.05)


def test_kernel_regularizer_sees_the_learned_kernel():
    layer = StandardizedConv2D(6, 3, kernel_regularizer=keras.regularizers.L2(1.0))
    layer(IMAGES)
    np.testing.assert_allclose(layer.losses[0], np.sum(layer.get_weights()[0] ** 2), rtol=1e-5)


@pytest.mark.parametrize(("layer", "plain", "inputs"), PAIRS)
def test_a_single_weight_is_refused(layer, plain, inputs):
    with pytest.raises(ValueError, match="Each filter must have more than one weight"):
        layer(4, 1, groups=4).build(inputs.shape)


def test_lora_is_refused():
    with pytest.raises(ValueError, match=r"LoRA is not supported.*Received: lora_rank=2"):
        StandardizedConv2D(6, 3, lora_rank=2)
    layer = StandardizedConv2D(6, 3)
    layer(IMAGES)
    with pytest.raises(ValueError, match="LoRA is not supported"):
        layer.enable_lora(2)


def test_quantization_is_refused():
    layer = StandardizedConv2D(6, 3)
    layer(IMAGES)
    with pytest.raises(NotImplementedError, match="StandardizedConv2D"):
        layer.quantize("int8")


@pytest.mark.parametrize("epsilon", [-1e-5, float("inf")])
def test_bad_epsilon(epsilon):
    with pytest.raises(ValueError, match="`standardize_epsilon` must be"):
        StandardizedConv2D(6, 3, standardize_epsilon=epsilon)
