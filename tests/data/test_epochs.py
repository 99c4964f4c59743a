"""The plan of an epoch: which record comes where, with which draws."""

from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from zoo.data.epochs import batches_of_epochs


def plan(*, seed: int = 0, epochs: int = 3, **settings) -> list[dict[int, list[float]]]:
    """For each epoch of 8 records, record -> its draws."""
    batches = batches_of_epochs(8, draws=2, batch_size=4, seed=seed, **settings).take(2 * epochs)
    pairs = [(index, draws) for batch in batches.as_numpy_iterator() for index, draws in zip(*batch, strict=True)]
    return [{int(index): draws.tolist() for index, draws in pairs[8 * at : 8 * at + 8]} for at in range(epochs)]


def test_draws_are_uniform_and_others_for_every_record_epoch_and_seed():
    numbers = [number for seed in (0, 1) for epoch in plan(seed=seed) for draws in epoch.values() for number in draws]
    assert len(set(numbers)) == len(numbers) == 2 * 3 * 8 * 2
    assert 0 <= min(numbers) < 0.1
    assert 0.9 < max(numbers) < 1


def test_an_epoch_is_the_same_wherever_the_run_began():
    first, second, third = plan()
    assert plan(epoch=1, epochs=2) == [second, third]
    assert plan(epochs=1) == [first]
    assert sorted(first) == sorted(second) == list(range(8))


@pytest.mark.parametrize("left_out", [(3,), (0, 5)])
def test_in_place_of_records_that_are_left_out_the_first_of_the_epoch_come_again(left_out):
    def read_all(pairs: tf.data.Dataset) -> tf.data.Dataset:
        indices = pairs.map(lambda index, draws: index)
        return indices.filter(lambda index: tf.reduce_all(index != tf.constant(left_out, tf.int64)))

    settings = {"draws": 0, "batch_size": 4, "seed": 0, "read_all": read_all, "may_skip": True}
    whole = list(islice(batches_of_epochs(8, **settings).as_numpy_iterator(), 4))
    order = [index for index in plan(epochs=1)[0] if index not in left_out]
    assert np.concatenate(whole[:2]).tolist() == (order + order)[:8]
    rest = list(islice(batches_of_epochs(8, **settings, skip=1).as_numpy_iterator(), 3))
    assert [batch.tolist() for batch in rest] == [batch.tolist() for batch in whole[1:]]
