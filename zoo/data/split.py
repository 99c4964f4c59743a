"""Stratified splits: the same share of every class, from a seed."""

from collections.abc import Mapping

import numpy as np

from zoo.data.records import Records


def split_off(records: Records, fraction: float, *, seed: int) -> tuple[Records, Records]:
    """Takes `fraction` of every class out of `records`.

    Of a class with n records max(1, round(fraction * n)) are taken, but never the last one, so that every class
    stays in the rest. Both parts keep the order of `records`.

    Args:
        records: what to divide.
        fraction: in (0, 1).
        seed: which records are taken; the same seed takes the same ones.

    Returns:
        (the rest, the part taken)

    >>> records = Records(labels=[0] * 10 + [1] * 20, paths=[f"{i}.png" for i in range(30)])
    >>> rest, taken = split_off(records, 0.2, seed=0)
    >>> np.bincount(rest.labels), np.bincount(taken.labels)
    (array([ 8, 16]), array([2, 4]))
    """
    generator = np.random.default_rng(seed)
    taken = np.zeros(len(records), bool)
    for label in np.unique(records.labels):
        members = generator.permutation(np.flatnonzero(records.labels == label))
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        taken[members[:count]] = True
    return records.take(np.flatnonzero(~taken)), records.take(np.flatnonzero(taken))


def with_validation(splits: Mapping[str, Records], fraction: float, *, seed: int) -> dict[str, Records]:
    """`splits`, of which "validation" is taken out of "train" by `split_off` where there is none; 0 takes nothing."""
    if not fraction or "train" not in splits or "validation" in splits:
        return dict(splits)
    train, validation = split_off(splits["train"], fraction, seed=seed)
    return {**splits, "train": train, "validation": validation}
