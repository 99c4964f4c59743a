"""The five losses of Mask R-CNN. Each is a scalar of the whole batch, and 0, not NaN, where nothing is to be learnt."""

from typing import Any

import keras
from keras import ops


def smooth_l1(difference: Any, *, beta: float) -> Any:
    """x^2 / (2 beta) where |x| < beta, |x| - beta / 2 elsewhere; |x| for beta = 0.

    Args:
        difference: x, any shape.
        beta: 0 or more: Fast R-CNN takes 1 (arXiv 1504.08083, equation 3), torchvision 1 / 9, detectron2 0.

    >>> [float(smooth_l1(ops.array(x), beta=1.0)) for x in (0.5, -3.0)]
    [0.125, 2.5]
    """
    size = ops.abs(difference)
    if beta == 0:
        return size
    return ops.where(size < beta, size * size / (2 * beta), size - beta / 2)


def objectness_loss(logits: Any, targets: Any, is_sampled: Any, *, per: int | None = None) -> Any:
    """Binary cross-entropy of the sampled anchors, summed over them and divided by their number.

    Faster R-CNN, arXiv 1506.01497, equation 1 with N_cls the size of the sample.

    Args:
        logits: [B, S].
        targets: [B, S], 1 for an object, 0 for none.
        is_sampled: [B, S] bool: others don't count.
        per: None: the number of sampled anchors in the batch (torchvision). An integer: B times that number, whether or
            not the sample was filled (detectron2, with the sample's size).

    >>> float(objectness_loss(ops.zeros((1, 2)), ops.ones((1, 2)), ops.array([[True, False]])))  # log 2
    0.6931471824645996
    """
    return _masked_sum(_binary_crossentropy(logits, targets), is_sampled) / _count(is_sampled, per)


def anchor_box_loss(
    deltas: Any, targets: Any, is_positive: Any, is_sampled: Any, *, beta: float, per: int | None
) -> Any:
    """Smooth L1 of the deltas of positive anchors, summed, over the number of all *sampled* anchors.

    Faster R-CNN, arXiv 1506.01497, equation 1, normalized as in both reference implementations.

    Args:
        deltas: [B, S, 4].
        targets: [B, S, 4].
        is_positive: [B, S] bool.
        is_sampled: [B, S] bool, true for all positives.
        beta: See `smooth_l1`.
        per: See `objectness_loss`.
    """
    return _masked_sum(_box_error(deltas, targets, beta=beta), is_positive) / _count(is_sampled, per)


def class_loss(logits: Any, targets: Any, is_sampled: Any) -> Any:
    """Softmax cross-entropy, mean over the sampled regions of the batch (Fast R-CNN, arXiv 1504.08083, eq. 1).

    Args:
        logits: [B, R, K + 1], class 0 is the background.
        targets: [B, R] int, 0 to K.
        is_sampled: [B, R] bool: others don't count.

    >>> float(class_loss(ops.zeros((1, 1, 4)), ops.array([[2]]), ops.array([[True]])))  # log 4
    1.3862943649291992
    """
    errors = keras.losses.sparse_categorical_crossentropy(targets, ops.cast(logits, "float32"), from_logits=True)
    return _masked_sum(errors, is_sampled) / _count(is_sampled)


def box_loss(deltas: Any, targets: Any, is_positive: Any, is_sampled: Any, *, beta: float) -> Any:
    """Smooth L1 of the positive regions' deltas, summed, over the number of all *sampled* regions of the batch.

    Fast R-CNN, arXiv 1504.08083, equation 2; so that a region counts the same in all images.

    Args:
        deltas: [B, R, 4], of each region's target class.
        targets: [B, R, 4].
        is_positive: [B, R] bool.
        is_sampled: [B, R] bool, true for all positives.
        beta: See `smooth_l1`.
    """
    return _masked_sum(_box_error(deltas, targets, beta=beta), is_positive) / _count(is_sampled)


def mask_loss(logits: Any, targets: Any, is_positive: Any) -> Any:
    """Binary cross-entropy, mean over the cells of the masks of all positive regions (arXiv 1703.06870, section 3).

    Args:
        logits: [B, R, m, m], the mask of each region's target class.
        targets: [B, R, m, m] in [0, 1].
        is_positive: [B, R] bool: others don't count.

    >>> float(mask_loss(ops.ones((1, 2, 4, 4)), ops.ones((1, 2, 4, 4)), ops.array([[False, False]])))
    0.0
    """
    errors = ops.mean(_binary_crossentropy(logits, targets), axis=(-2, -1))
    return _masked_sum(errors, is_positive) / _count(is_positive)


def _box_error(deltas: Any, targets: Any, *, beta: float) -> Any:
    return ops.sum(smooth_l1(ops.cast(deltas, "float32") - targets, beta=beta), axis=-1)


def _binary_crossentropy(logits: Any, targets: Any) -> Any:
    # log(1 + exp(x)) - x t, which overflows nowhere.
    logits = ops.cast(logits, "float32")
    return ops.softplus(logits) - logits * ops.cast(targets, "float32")


def _masked_sum(errors: Any, mask: Any) -> Any:
    return ops.sum(ops.where(mask, errors, 0.0))


def _count(mask: Any, per: int | None = None) -> Any:
    """How many are true, at least 1; or `per` for each image."""
    if per is not None:
        return ops.maximum(ops.cast(ops.shape(mask)[0] * per, "float32"), 1.0)
    return ops.maximum(ops.sum(ops.cast(mask, "float32")), 1.0)
