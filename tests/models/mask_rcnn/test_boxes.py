"""Box arithmetic against slow formulas, and encode and decode as inverses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.models.mask_rcnn import boxes

coordinate = st.integers(-50, 50).map(float)
side = st.integers(0, 40).map(float)


@st.composite
def some_boxes(draw: st.DrawFn, least: float = 0.0) -> np.ndarray:
    rows = draw(st.lists(st.tuples(coordinate, coordinate, side, side), min_size=1, max_size=6))
    return np.array([[y, x, y + least + h, x + least + w] for y, x, h, w in rows], "float32")


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    """By counting the unit squares inside."""
    squares = [
        {(y, x) for y in range(int(box[0]), int(box[2])) for x in range(int(box[1]), int(box[3]))} for box in (a, b)
    ]
    union = squares[0] | squares[1]
    return len(squares[0] & squares[1]) / len(union) if union else 0.0


@settings(max_examples=20, deadline=None)
@given(a=some_boxes(), b=some_boxes())
def test_iou_counts_pixels(a: np.ndarray, b: np.ndarray) -> None:
    expected = [[slow_iou(one, other) for other in b] for one in a]
    np.testing.assert_allclose(boxes.iou(a, b), expected, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(a=some_boxes(), b=some_boxes())
def test_shares_and_areas(a: np.ndarray, b: np.ndarray) -> None:
    shares = np.array(boxes.share_covered(a, b))
    overlap = np.array(boxes.intersection(a, b))
    np.testing.assert_allclose(shares * np.array(boxes.area(a))[:, None], overlap, atol=1e-3)
    np.testing.assert_allclose(overlap, np.array(boxes.intersection(b, a)).T)
    assert ((shares >= 0) & (shares <= 1)).all()


def test_empty_and_turned_boxes_have_no_area_and_no_iou() -> None:
    odd = np.array([[3.0, 3, 3, 9], [9, 9, 1, 1], [0, 0, 0, 0]], "float32")
    np.testing.assert_array_equal(boxes.area(odd), [0, 0, 0])
    np.testing.assert_array_equal(boxes.iou(odd, odd), np.zeros((3, 3)))
    np.testing.assert_array_equal(boxes.share_covered(odd, odd), np.zeros((3, 3)))
    assert not np.array(boxes.are_larger(odd, 0.0)).any()


def test_clip_and_smallest_side() -> None:
    given_boxes = np.array([[[-5.0, -5, 5, 5], [30, 30, 40, 40], [2, 2, 3, 90]]], "float32")
    clipped = np.array(boxes.clip(given_boxes, np.array([[20, 10]])))
    np.testing.assert_array_equal(clipped[0], [[0, 0, 5, 5], [20, 10, 20, 10], [2, 2, 3, 10]])
    np.testing.assert_array_equal(boxes.are_larger(clipped[0], 1.0), [True, False, True])
    np.testing.assert_array_equal(boxes.are_larger(clipped[0], 1.5), [True, False, False])


@settings(max_examples=20, deadline=None)
@given(target=some_boxes(1.0), reference=some_boxes(1.0))
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), boxes.BOX_HEAD_WEIGHTS])
def test_decode_inverts_encode(target: np.ndarray, reference: np.ndarray, weights: tuple[float, ...]) -> None:
    target, reference = target[:, None], reference[None]
    deltas = boxes.encode(target, reference, weights=weights)
    decoded = boxes.decode(deltas, reference, weights=weights)
    np.testing.assert_allclose(decoded, np.broadcast_to(target, decoded.shape), atol=2e-3)


def test_encode_has_the_box_order_and_the_weights() -> None:
    deltas = boxes.encode(np.array([5.0, 10, 25, 30]), np.array([0.0, 0, 10, 40]), weights=(10.0, 10.0, 5.0, 5.0))
    np.testing.assert_allclose(deltas, [10 * (15 - 5) / 10, 10 * 0, 5 * math.log(2), 5 * math.log(0.5)], atol=1e-5)


def test_a_decoded_side_grows_by_a_thousand_sixteenths_at_most() -> None:
    decoded = np.array(boxes.decode(np.array([0.0, 0, 99, -99]), np.array([0.0, 0, 16, 16])))
    np.testing.assert_allclose([decoded[2] - decoded[0], decoded[3] - decoded[1]], [1000, 0], atol=1e-2)


def test_encode_is_finite_for_empty_boxes() -> None:
    empty, box = np.zeros(4, "float32"), np.array([0.0, 0, 4, 4], "float32")
    for pair in [(empty, box), (box, empty), (empty, empty)]:
        assert np.isfinite(boxes.encode(*pair)).all()
