"""Models that bring their loss, and splits that are scored as a whole after every epoch."""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import pytest

from zoo.tasks import ImageClassification
from zoo.training.fit import fit, prepare
from zoo.training.run_folder import RunFolder


class WithOwnLoss(keras.Model):
    """Its loss is what ImageClassification's is, and half of it is a metric."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.half_loss = keras.metrics.Mean(name="half_loss")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = keras.ops.cast(y, "int32")
        loss = keras.ops.mean(keras.ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True))
        self.half_loss.update_state(loss / 2)
        return loss


@dataclass(frozen=True, kw_only=True)
class OwnLossTask(ImageClassification):
    loss = None

    def build_model(self):
        plain = super().build_model()
        return WithOwnLoss(plain.input, plain.output, name=plain.name)


def run(config, task, path):
    folder = RunFolder(path)
    path.mkdir()
    training = prepare(config, task)
    fit(training, folder)
    return training.model.get_weights(), pd.read_csv(folder.history_file)


@pytest.mark.parametrize("strategy", ["one", "mirrored"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_of_the_model_trains_as_one_of_the_task(tmp_path, config, task, strategy, accumulate):
    config = dataclasses.replace(config, epochs=1, steps=4, strategy=strategy, accumulate=accumulate)
    expected, history = run(config, task, tmp_path / "task")
    own = OwnLossTask(**{field.name: getattr(task, field.name) for field in dataclasses.fields(task)})
    weights, own_history = run(config, own, tmp_path / "own")
    for value, reference in zip(weights, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own_history["loss"], history["loss"], rtol=1e-4)
    np.testing.assert_allclose(own_history["half_loss"], history["loss"] / 2, rtol=1e-4)


@pytest.mark.parametrize("strategy", ["one", "mirrored"])
def test_a_split_scored_as_a_whole_has_the_same_metrics(tmp_path, config, task, strategy):
    config = dataclasses.replace(config, epochs=2, strategy=strategy)
    _, expected = run(config, task, tmp_path / "batches")
    _, history = run(config, dataclasses.replace(task, scored_whole=True), tmp_path / "whole")
    for name in ("val_loss", "val_accuracy"):
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4)
