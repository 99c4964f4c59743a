"""ROIAlign against a slow loop over samples in float64; its gradient against differences."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import UserError
from zoo.models.mask_rcnn.roi_align import assign_levels, roi_align


def slow_value(feature: np.ndarray, y: float, x: float) -> np.ndarray:
    height, width, channels = feature.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(channels)
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    return (
        (1 - dy) * (1 - dx) * feature[top, left]
        + (1 - dy) * dx * feature[top, right]
        + dy * (1 - dx) * feature[bottom, left]
        + dy * dx * feature[bottom, right]
    )


def slow_roi_align(feature, box, *, stride, bins, ratio, aligned):
    ymin, xmin, ymax, xmax = np.asarray(box, "float64") / stride - (0.5 if aligned else 0)
    height, width = (max(side, 0 if aligned else 1) for side in (ymax - ymin, xmax - xmin))
    result = np.zeros((bins, bins, feature.shape[-1]))
    for i in range(bins):
        for j in range(bins):
            for k in range(ratio):
                for m in range(ratio):
                    y = ymin + (i + (k + 0.5) / ratio) * height / bins
                    x = xmin + (j + (m + 0.5) / ratio) * width / bins
                    result[i, j] += slow_value(feature, y, x) / ratio**2
    return result


def slow_level(box: np.ndarray) -> int:
    side = math.sqrt(max(float((box[2] - box[0]) * (box[3] - box[1])), 1e-12))
    return min(max(math.floor(4 + math.log2(side / 224)), 2), 5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999), aligned=st.booleans(), bins=st.integers(1, 4), ratio=st.integers(1, 3))
def test_equals_the_slow_loop_on_every_level(seed: int, aligned: bool, bins: int, ratio: int) -> None:
    rng = np.random.default_rng(seed)
    strides = (4, 8, 16, 32)
    features = [rng.normal(size=(2, 480 // s, 352 // s, 2)) for s in strides]
    # Small and large, inside, across the border and outside.
    corner = rng.uniform(-80, 400, (2, 5, 2))
    boxes = np.concatenate([corner, corner + np.exp(rng.uniform(0, 6.5, (2, 5, 2)))], axis=-1).astype("float32")
    pooled = roi_align(
        [f.astype("float32") for f in features],
        boxes,
        strides=strides,
        bins=bins,
        sampling_ratio=ratio,
        aligned=aligned,
    )
    for image in range(2):
        for region in range(5):
            level = slow_level(boxes[image, region]) - 2
            expected = slow_roi_align(
                features[level][image],
                boxes[image, region],
                stride=strides[level],
                bins=bins,
                ratio=ratio,
                aligned=aligned,
            )
            np.testing.assert_allclose(pooled[image, region], expected, atol=2e-4)


def test_levels() -> None:
    sides = np.array([0, 16, 55.9, 56, 111.9, 112, 223.9, 224, 447.9, 448, 9999], "float32")
    boxes = np.stack([np.zeros_like(sides), np.zeros_like(sides), sides, sides], axis=-1)
    np.testing.assert_array_equal(assign_levels(boxes), [2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5])


@pytest.mark.parametrize("aligned", [True, False])
def test_a_ramp_is_reproduced(aligned: bool) -> None:
    """Features that are linear in the pixels' centres give the cells' centres, whatever the box."""
    offset = 0.5 if aligned else 0.0
    y, x = np.meshgrid(np.arange(32) + offset, np.arange(32) + offset, indexing="ij")
    ramp = np.stack([y, x], axis=-1)[None].astype("float32") * 4
    box = np.array([[[20.0, 12, 60, 100]]], "float32")
    pooled = np.array(roi_align([ramp], box, strides=(4,), bins=5, aligned=aligned))[0, 0]
    np.testing.assert_allclose(pooled[:, 0, 0], 20 + 40 * (np.arange(5) + 0.5) / 5, rtol=1e-5)
    np.testing.assert_allclose(pooled[0, :, 1], 12 + 88 * (np.arange(5) + 0.5) / 5, rtol=1e-5)


def test_gradient_by_differences() -> None:
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(1, 6, 5, 2)).astype("float32"), rng.normal(size=(1, 3, 3, 2)).astype("float32")]
    boxes = np.array([[[1.0, 2, 17, 19], [-4, 0, 30, 30], [0, 0, 150, 150]]], "float32")
    weights = rng.normal(size=(1, 3, 2, 2, 2)).astype("float32")

    def value(parts):
        return tf.reduce_sum(weights * roi_align(parts, boxes, strides=(4, 8), bins=2))

    parts = [tf.constant(part) for part in features]
    with tf.GradientTape() as tape:
        tape.watch(parts)
        loss = value(parts)
    gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(loss, parts)]
    # The sum is linear in the features: a step of 1 has no error but rounding.
    for level, place in [(0, (0, 1, 2, 0)), (0, (0, 4, 4, 1)), (0, (0, 0, 0, 0)), (1, (0, 2, 2, 0)), (1, (0, 1, 1, 1))]:
        moved = [part.copy() for part in features]
        moved[level][place] += 1
        np.testing.assert_allclose(gradients[level][place], value(moved) - loss, atol=1e-4)
    assert all(np.abs(gradient).sum() > 0 for gradient in gradients)


def test_a_region_of_bfloat16_features_is_bfloat16() -> None:
    feature = tf.ones((1, 4, 4, 1), tf.bfloat16)
    pooled = roi_align([feature], np.array([[[0.0, 0, 16, 16]]], "float32"), strides=(4,), bins=2)
    assert pooled.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(pooled, "float32"), np.ones((1, 1, 2, 2, 1)))


@pytest.mark.parametrize("ratio", [0, -1, 1.5, True])
def test_an_adaptive_sampling_ratio_is_refused(ratio: object) -> None:
    with pytest.raises(UserError, match=r"`sampling_ratio` must be an integer of 1 or more.*use 2.*Received"):
        roi_align([np.zeros((1, 4, 4, 1))], np.zeros((1, 1, 4)), strides=(4,), bins=2, sampling_ratio=ratio)
