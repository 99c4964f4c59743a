"""The losses by slow formulas, and zero where there is nothing to learn."""

import numpy as np
import pytest

from zoo.models.mask_rcnn import losses


def slow_smooth_l1(x: float, beta: float) -> float:
    return abs(x) - beta / 2 if abs(x) >= beta else x * x / (2 * beta)


def slow_crossentropy(logit: float, target: float) -> float:
    probability = 1 / (1 + np.exp(-logit))
    return -(target * np.log(probability) + (1 - target) * np.log(1 - probability))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


SAMPLED = np.array([[True, True, False], [True, False, False]])
POSITIVE = np.array([[True, False, False], [True, False, False]])


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_smooth_l1(beta: float, rng: np.random.Generator) -> None:
    x = rng.normal(size=20)
    np.testing.assert_allclose(losses.smooth_l1(x, beta=beta), [slow_smooth_l1(v, beta) for v in x], rtol=1e-5)


@pytest.mark.parametrize(("per", "count"), [(None, 3), (3, 6)])
def test_objectness(per: int | None, count: int, rng: np.random.Generator) -> None:
    logits = rng.normal(size=(2, 3))
    errors = [slow_crossentropy(logits[i], POSITIVE[i]) for i in np.ndindex(2, 3) if SAMPLED[i]]
    np.testing.assert_allclose(
        losses.objectness_loss(logits, POSITIVE, SAMPLED, per=per), sum(errors) / count, rtol=1e-5
    )


@pytest.mark.parametrize(("per", "count"), [(None, 3), (3, 6)])
def test_boxes_count_positives_over_all_that_were_sampled(
    per: int | None, count: int, rng: np.random.Generator
) -> None:
    deltas, targets = rng.normal(size=(2, 2, 3, 4)).astype("float32")
    total = sum(
        slow_smooth_l1(float(deltas[(*i, k)] - targets[(*i, k)]), 0.5)
        for i in np.ndindex(2, 3)
        if POSITIVE[i]
        for k in range(4)
    )
    rest = {"beta": 0.5, "per": per}
    np.testing.assert_allclose(
        losses.anchor_box_loss(deltas, targets, POSITIVE, SAMPLED, **rest), total / count, rtol=1e-5
    )
    if per is None:
        np.testing.assert_allclose(losses.box_loss(deltas, targets, POSITIVE, SAMPLED, beta=0.5), total / 3, rtol=1e-5)


def test_classes(rng: np.random.Generator) -> None:
    logits, classes = rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3))
    errors = [-logits[i][classes[i]] + np.log(np.exp(logits[i]).sum()) for i in np.ndindex(2, 3) if SAMPLED[i]]
    np.testing.assert_allclose(losses.class_loss(logits, classes, SAMPLED), np.mean(errors), rtol=1e-5)


def test_masks(rng: np.random.Generator) -> None:
    logits, targets = rng.normal(size=(2, 3, 4, 4)), rng.integers(0, 2, (2, 3, 4, 4))
    errors = [slow_crossentropy(logits[i], targets[i]).mean() for i in np.ndindex(2, 3) if POSITIVE[i]]
    np.testing.assert_allclose(losses.mask_loss(logits, targets, POSITIVE), np.mean(errors), rtol=1e-5)


def test_nothing_to_learn_is_zero_and_what_is_masked_may_be_infinite() -> None:
    nothing = np.zeros((1, 2), bool)
    wild = np.full((1, 2, 4), np.inf, "float32")
    assert losses.objectness_loss(wild[..., 0], nothing, nothing) == 0
    assert losses.anchor_box_loss(wild, -wild, nothing, nothing, beta=0.0, per=None) == 0
    assert losses.box_loss(wild, -wild, nothing, nothing, beta=1.0) == 0
    assert losses.class_loss(np.zeros((1, 2, 3)), np.zeros((1, 2), int), nothing) == 0
    assert losses.mask_loss(np.ones((1, 2, 4, 4)), np.ones((1, 2, 4, 4)), nothing) == 0


@pytest.mark.parametrize(("logit", "target"), [(-1e4, 1.0), (1e4, 0.0)])
def test_a_confident_error_is_large_and_finite(logit: float, target: float) -> None:
    loss = losses.objectness_loss(np.array([[logit]]), np.array([[target]]), np.array([[True]]))
    np.testing.assert_allclose(loss, 1e4)
