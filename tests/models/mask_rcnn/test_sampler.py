"""The sample: how many of each kind, which ones, in which order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.models.mask_rcnn.sampler import sample


@settings(max_examples=30, deadline=None)
@given(
    labels=st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=20),
    count=st.integers(1, 12),
    share=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    seed=st.integers(0, 999),
)
def test_numbers_kinds_and_order(labels: list[int], count: int, share: float, seed: int) -> None:
    kinds = np.array([labels])
    random = np.random.default_rng(seed).permutation(len(labels))[None] / len(labels)
    drawn = sample(kinds, random.astype("float32"), count=count, positive_share=share)
    index, is_filled = np.array(drawn.index)[0], np.array(drawn.is_filled)[0]
    assert index.shape == is_filled.shape == (count,)

    positives = min(labels.count(1), int(count * share))
    negatives = min(labels.count(0), count - positives)
    by_chance = np.argsort(-random[0])
    expected = [n for n in by_chance if labels[n] == 1][:positives]
    expected += [n for n in by_chance if labels[n] == 0][:negatives]
    np.testing.assert_array_equal(is_filled, np.arange(count) < positives + negatives)
    np.testing.assert_array_equal(index[is_filled], expected)
    np.testing.assert_array_equal(index[~is_filled], 0)


def test_every_positive_is_drawn_equally_often() -> None:
    random = np.random.default_rng(0).random((4000, 5)).astype("float32")
    drawn = sample(np.ones((4000, 5), int), random, count=2, positive_share=0.5)
    counts = np.bincount(np.array(drawn.index)[np.array(drawn.is_filled)], minlength=5)
    assert counts.sum() == 4000
    assert abs(counts - 800).max() < 4 * np.sqrt(800)
