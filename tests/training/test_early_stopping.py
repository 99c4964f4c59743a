import dataclasses

import pandas as pd
import pytest

from zoo.errors import UserError
from zoo.training.checkpointing import Checkpointing
from zoo.training.fit import fit, prepare
from zoo.training.run_folder import RunFolder


class CrashError(Exception):
    """A crash, at a known place."""


@pytest.fixture
def standing(config):
    """A run that doesn't learn: its first epoch is the best one."""
    return dataclasses.replace(config, epochs=6, patience=2, learning_rate=1e-12)


def epochs(folder):
    return list(pd.read_csv(folder.history_file)["epoch"])


def test_a_run_ends_when_it_no_longer_gets_better_and_stays_ended(tmp_path, standing, task, caplog):
    caplog.set_level("INFO")
    folder = RunFolder(tmp_path)
    fit(prepare(standing, task), folder)
    assert epochs(folder) == [1, 2, 3]
    assert "stops after epoch 3: the best val_accuracy is that of epoch 1" in caplog.text
    assert "complete already" not in caplog.text
    fit(prepare(standing, task), folder)
    assert epochs(folder) == [1, 2, 3]
    assert "the training was complete already" in caplog.text


def test_a_resume_within_an_epoch_counts_the_epochs_before_it(tmp_path, standing, task, monkeypatch):
    """Ten batches an epoch."""
    count = Checkpointing.on_train_batch_end

    def crash(self, batch, logs=None):
        count(self, batch, logs)
        if self.progress.step == 25:
            self.checkpoints.wait()
            raise CrashError

    folder = RunFolder(tmp_path)
    monkeypatch.setattr(Checkpointing, "on_train_batch_end", crash)
    with pytest.raises(CrashError):
        fit(prepare(standing, task), folder, checkpoint_every="5steps")
    monkeypatch.undo()
    fit(prepare(standing, task), folder)
    assert epochs(folder) == [1, 2, 3]


def test_a_run_that_gets_better_goes_on(tmp_path, config, task):
    fit(prepare(dataclasses.replace(config, patience=1), task), RunFolder(tmp_path))
    values = pd.read_csv(RunFolder(tmp_path).history_file)["val_accuracy"]
    assert values.is_monotonic_increasing
    assert len(values) == 3


def test_patience_needs_something_to_go_by(config, task, digits):
    splits = {name: records for name, records in digits.splits.items() if name != "validation"}
    task = dataclasses.replace(task, dataset=dataclasses.replace(digits, splits=splits))
    with pytest.raises(UserError, match="`patience` needs a validation split"):
        prepare(dataclasses.replace(config, patience=2), task)
