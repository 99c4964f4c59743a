"""Records check what they are given, and splitting loses none of them."""

import numpy as np
import pytest

from zoo.data import Records
from zoo.data.split import split_off


def test_records_need_images_or_paths():
    with pytest.raises(ValueError, match="either `images` or `paths`"):
        Records(labels=[0])
    with pytest.raises(ValueError, match="either `images` or `paths`"):
        Records([0], np.zeros([1, 2, 2, 1], "uint8"), ["a.png"])


def test_records_check_images_and_labels():
    with pytest.raises(
        ValueError, match=r"`images` must be uint8 \[N, H, W, C\]. Received: images=float64 \[1, 2, 2, 1\]"
    ):
        Records([0], np.zeros([1, 2, 2, 1]))
    with pytest.raises(ValueError, match=r"`labels` must have one entry a record, shape \[2\]"):
        Records([0], paths=["a.png", "b.png"])


def test_take_keeps_labels_with_their_records():
    records = Records(np.arange(5), paths=[f"{i}.png" for i in range(5)], on_corrupt="skip").take([3, 1])
    assert (list(records.paths), list(records.labels), records.on_corrupt) == (["3.png", "1.png"], [3, 1], "skip")


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_split_off_is_a_partition_that_leaves_every_class(fraction):
    labels = np.repeat([0, 1, 2, 3], [1, 2, 9, 40])
    records = Records(np.arange(len(labels)) * 0 + labels, paths=[str(i) for i in range(len(labels))])
    rest, taken = split_off(records, fraction, seed=3)
    assert sorted([*rest.paths, *taken.paths]) == sorted(records.paths)
    for label, count in enumerate([1, 2, 9, 40]):
        expected = min(max(1, round(fraction * count)), count - 1)
        assert (taken.labels == label).sum() == expected
        assert (rest.labels == label).sum() == count - expected > 0


def test_split_off_depends_on_the_seed_alone():
    records = Records(np.arange(100) % 4, paths=[str(i) for i in range(100)])
    first, again, other = (list(split_off(records, 0.2, seed=seed)[1].paths) for seed in (0, 0, 1))
    assert first == again != other
