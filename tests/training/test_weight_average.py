"""The average of the weights on one device; test_fit.py, test_two_workers.py and jax_cases.py have the others."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from zoo.training.evaluation import evaluate_model
from zoo.training.fit import StopAfter, fit, prepare
from zoo.training.run_folder import RunFolder
from zoo.training.weight_average import averaged_weights

EMA = 0.9


def trained(config, task, path):
    training = prepare(config, task)
    fit(training, RunFolder(path))
    return training


def test_the_average_is_validated_and_kept_and_the_training_goes_on_without_it(tmp_path, config, task, monkeypatch):
    config = dataclasses.replace(config, epochs=2)
    plain = trained(config, task, tmp_path / "plain").model.get_weights()

    average = []
    end_of_batch = StopAfter.on_train_batch_end

    def add(self, batch, logs=None):
        end_of_batch(self, batch, logs)
        weights = [np.array(weight, "float64") for weight in self.model.trainable_weights]
        average[:] = [EMA * a + (1 - EMA) * w for a, w in zip(average or weights, weights, strict=True)]

    monkeypatch.setattr(StopAfter, "on_train_batch_end", add)
    training = trained(dataclasses.replace(config, ema=EMA), task, tmp_path / "run")
    for weight, same in zip(training.model.get_weights(), plain, strict=True):
        np.testing.assert_array_equal(weight, same)

    history = pd.read_csv(RunFolder(tmp_path / "run").history_file)
    assert history["val_accuracy"].idxmax() == 1  # or the best model would be that of the first epoch
    best = RunFolder(tmp_path / "run").load_best_model()
    for weight, expected in zip(best.trainable_weights, average, strict=True):
        np.testing.assert_allclose(np.array(weight), expected, rtol=1e-4, atol=1e-6)
    scores = evaluate_model(best, task, "validation", batch_size=32).metrics
    assert history["val_loss"][1] == pytest.approx(scores["loss"], rel=1e-5)
    assert history["loss"].tolist() == pd.read_csv(RunFolder(tmp_path / "plain").history_file)["loss"].tolist()


def test_without_an_average_nothing_changes(config, task):
    training = prepare(config, task)
    before = training.model.get_weights()
    with averaged_weights(training.trainer):
        for weight, same in zip(training.model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, same)


def test_the_own_weights_come_back_after_an_error(config, task):
    training = prepare(dataclasses.replace(config, ema=EMA), task)
    before = training.model.get_weights()

    def fail():
        with averaged_weights(training.trainer):
            assert not keras.ops.any(training.model.trainable_weights[0])  # the average of no step is zero
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for weight, same in zip(training.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)
