"""What is mended in Keras steps aside where Keras has changed; tests/training/test_two_workers.py has it at work."""

import inspect

import pytest
import tensorflow as tf
from keras.src.backend.tensorflow import trainer as keras_trainer

from zoo.training import replica_fit
from zoo.training.replica_fit import mended_metrics


class SeveralWorkers(tf.distribute.MultiWorkerMirroredStrategy):
    """The type alone: a real one needs processes of its own."""


def of_another_form(values, strategy):
    return values


@pytest.fixture
def strategy():
    return object.__new__(SeveralWorkers)


@pytest.mark.parametrize("change", ["module", "name", "form"])
def test_a_keras_that_has_changed_is_left_as_it_is(strategy, monkeypatch, caplog, change):
    if change == "module":
        monkeypatch.setattr(replica_fit, "_KERAS_TRAINER", "keras.src.backend.tensorflow.moved")
    elif change == "name":
        monkeypatch.delattr(keras_trainer, "reduce_per_replica")
    else:
        monkeypatch.setattr(keras_trainer, "reduce_per_replica", of_another_form)
    before = vars(keras_trainer).get("reduce_per_replica")
    with mended_metrics(strategy):
        assert vars(keras_trainer).get("reduce_per_replica") is before
    assert "use keras 3.12 to 3.15" in caplog.text


def test_this_keras_is_known(strategy, monkeypatch, caplog):
    before = keras_trainer.reduce_per_replica
    monkeypatch.setattr(replica_fit, "_fails_for_scalars", lambda function, strategy: True)
    with mended_metrics(strategy):
        assert keras_trainer.reduce_per_replica is not before
        assert list(inspect.signature(before).parameters) == ["values", "strategy", "reduction"]
    assert keras_trainer.reduce_per_replica is before
    assert not caplog.text


def test_one_worker_needs_no_mending(monkeypatch, caplog):
    monkeypatch.delattr(keras_trainer, "reduce_per_replica")
    with mended_metrics(tf.distribute.get_strategy()):
        pass
    assert not caplog.text
