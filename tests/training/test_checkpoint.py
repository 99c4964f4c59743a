import json

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.training import checkpoint, prepare
from zoo.training.checkpoint import Progress


def change(training, amount):
    for variable in (*training.trainer.weights, *training.trainer.optimizer.variables):
        variable.assign_add(np.full(variable.shape, amount).astype(variable.dtype))


def values(training):
    return [np.array(v) for v in (*training.trainer.weights, *training.trainer.optimizer.variables)]


def save_epochs(folder, training, count):
    """A checkpoint for each epoch; returns what each of them holds."""
    stored = {}
    for epoch in range(1, count + 1):
        change(training, 1)
        stored[epoch] = values(training)
        progress = Progress(epoch=epoch, history=[{"epoch": e} for e in range(1, epoch + 1)], best=0.5)
        checkpoint.save(folder, training.trainer, progress)
    return stored


def assert_holds(training, expected):
    for value, reference in zip(values(training), expected, strict=True):
        np.testing.assert_array_equal(value, reference)


def test_the_newest_comes_back_with_optimizer_and_history(tmp_path, config, task):
    training = prepare(config, task)
    stored = save_epochs(tmp_path, training, 3)
    change(training, 5)
    progress = checkpoint.restore_latest(tmp_path, training.trainer)
    assert (progress.epoch, len(progress.history), progress.best) == (3, 3, 0.5)
    assert_holds(training, stored[3])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["epoch_0002", "epoch_0003"]


@pytest.mark.parametrize(("name", "content"), [("state.json", None), ("state.weights.h5", None), ("state.json", b"{}")])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path, config, task, name, content, caplog):
    training = prepare(config, task)
    stored = save_epochs(tmp_path, training, 2)
    broken = tmp_path / "epoch_0002" / name
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2] if content is None else content)
    change(training, 5)
    assert checkpoint.restore_latest(tmp_path, training.trainer).epoch == 1
    assert_holds(training, stored[1])
    assert "epoch_0002" in caplog.text


def test_without_a_checkpoint_training_starts_at_zero(tmp_path, config, task):
    assert checkpoint.restore_latest(tmp_path, prepare(config, task).trainer) == Progress()


def test_another_architecture_is_refused(tmp_path, config, task):
    training = prepare(config, task)
    path = checkpoint.save(tmp_path, training.trainer, Progress(epoch=1))
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**state, "architecture": "another"}))
    with pytest.raises(UserError, match=r"checkpoint of the same architecture.*epoch_0001"):
        checkpoint.restore_latest(tmp_path, training.trainer)


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path, config, task, monkeypatch):
    training = prepare(config, task)
    stored = save_epochs(tmp_path, training, 1)

    def full_disk(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(training.trainer, "save_weights", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, training.trainer, Progress(epoch=2))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_0001"]
    monkeypatch.undo()
    change(training, 5)
    assert checkpoint.restore_latest(tmp_path, training.trainer).epoch == 1
    assert_holds(training, stored[1])
