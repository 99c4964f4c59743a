import json
import resource
import time

import keras
import numpy as np
import pytest

from zoo.errors import UserError
from zoo.training.checkpoint import Checkpoints, Progress, _checksum, newest_first
from zoo.training.fit import prepare


def variables(training):
    return [*training.trainer.weights, *training.trainer.optimizer.variables]


def change(training, amount):
    for variable in variables(training):
        variable.assign_add(np.full(variable.shape, amount).astype(variable.dtype))


def values(training):
    return [np.array(variable) for variable in variables(training)]


def save_epochs(checkpoints, training, count):
    """A checkpoint for each epoch of ten steps; returns what each of them holds."""
    stored = {}
    for epoch in range(1, count + 1):
        change(training, 1)
        stored[epoch] = values(training)
        history = [{"epoch": e} for e in range(1, epoch + 1)]
        checkpoints.save(Progress(step=10 * epoch, epoch=epoch, history=history, best=0.5))
    change(training, 7)  # while the newest is being written
    checkpoints.wait()
    return stored


def assert_holds(training, expected):
    for value, reference in zip(values(training), expected, strict=True):
        np.testing.assert_array_equal(value, reference)


@pytest.fixture
def training(config, task):
    return prepare(config, task)


@pytest.fixture
def checkpoints(tmp_path, training):
    opened = Checkpoints(tmp_path, training.trainer)
    yield opened
    opened.close()


def test_the_newest_comes_back_with_optimizer_and_history(tmp_path, training, checkpoints):
    stored = save_epochs(checkpoints, training, 3)
    progress = checkpoints.restore()
    assert (progress.epoch, progress.batch, len(progress.history), progress.best) == (3, 0, 3, 0.5)
    assert_holds(training, stored[3])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step_00000020", "step_00000030"]


@pytest.mark.parametrize(
    ("name", "content"), [("state.json", None), ("variables.npz", None), ("state.json", b"{}"), ("variables.npz", b"")]
)
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path, training, checkpoints, name, content, caplog):
    stored = save_epochs(checkpoints, training, 2)
    broken = tmp_path / "step_00000020" / name
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2] if content is None else content)
    assert checkpoints.restore().epoch == 1
    assert_holds(training, stored[1])
    assert "step_00000020" in caplog.text


def test_a_changed_byte_is_found(tmp_path, training, checkpoints, caplog):
    save_epochs(checkpoints, training, 2)
    file = tmp_path / "step_00000020" / "variables.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert checkpoints.restore().epoch == 1
    assert "its checksum differs" in caplog.text


def test_an_unreadable_one_steps_aside_and_does_not_count_among_those_kept(tmp_path, training, checkpoints):
    save_epochs(checkpoints, training, 2)
    (tmp_path / "step_00000020" / "state.json").write_bytes(b"")
    checkpoints.restore()
    for step in (13, 25):
        checkpoints.save(Progress(step=step, epoch=1))
    checkpoints.wait()
    assert [path.name for path in newest_first(tmp_path)] == ["step_00000025", "step_00000013"]
    assert len(list(tmp_path.glob("unreadable_*/step_00000020/variables.npz"))) == 1


def test_where_none_is_readable_nothing_is_touched(tmp_path, training, checkpoints):
    save_epochs(checkpoints, training, 2)
    for path in newest_first(tmp_path):
        (path / "state.json").write_bytes(b"")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"none can: step_00000020, step_00000010\. .*Restore one.*another --output"):
        checkpoints.restore()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_changed_place_in_the_data_is_found(tmp_path, training, checkpoints, caplog):
    save_epochs(checkpoints, training, 2)
    file = tmp_path / "step_00000020" / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "batch": 3}))
    assert checkpoints.restore().epoch == 1
    assert "its checksum differs" in caplog.text


def test_going_on_on_another_backend_is_told(tmp_path, checkpoints, caplog):
    checkpoints.save(Progress(step=10, epoch=1))
    checkpoints.wait()
    checkpoints.restore()
    assert "was on" not in caplog.text
    folder = tmp_path / "step_00000010"
    content = {**json.loads((folder / "state.json").read_text()), "backend": "jax"}
    del content["sha256"]
    content["sha256"] = _checksum(folder / "variables.npz", content)
    (folder / "state.json").write_text(json.dumps(content))
    assert checkpoints.restore().epoch == 1
    assert "the run was on jax and goes on on tensorflow" in caplog.text


def test_random_states_and_metrics_come_back(tmp_path):
    image = keras.Input((8, 8, 1))
    dropped = keras.layers.Dropout(0.5, seed=1)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(10)(dropped))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    x, y = np.random.default_rng(0).random((32, 8, 8, 1)), np.arange(32) % 10
    model.train_on_batch(x, y)
    checkpoints = Checkpoints(tmp_path, model)
    checkpoints.save(Progress(step=1, batch=1))
    checkpoints.wait()
    expected = model.train_on_batch(x, y)
    checkpoints.restore()
    checkpoints.restore_metrics()
    assert model.train_on_batch(x, y) == expected
    checkpoints.close()


def test_without_a_checkpoint_training_starts_at_zero(checkpoints):
    assert checkpoints.restore() == Progress()


def test_what_a_killed_process_left_half_written_is_removed(tmp_path, checkpoints):
    (tmp_path / ".0123abcd.step_00000010").mkdir()
    (tmp_path / ".0123abcd.step_00000010" / "variables.npz").write_bytes(b"half")
    assert checkpoints.restore() == Progress()
    assert not list(tmp_path.iterdir())


def test_another_architecture_is_refused(checkpoints, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_fingerprint", lambda self: "another")
        checkpoints.save(Progress(step=10, epoch=1))
    checkpoints.wait()
    with pytest.raises(UserError, match=r"checkpoint of the same architecture.*step_00000010"):
        checkpoints.restore()


def test_a_checkpoint_that_cannot_be_written_is_an_error_and_the_others_stay(tmp_path, training, checkpoints):
    stored = save_epochs(checkpoints, training, 1)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        checkpoints.save(Progress(step=20, epoch=2))
        time.sleep(1)  # of training
        with pytest.raises(OSError, match="File too large"):
            checkpoints.raise_if_failed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000010"]
    assert checkpoints.restore().epoch == 1
    assert_holds(training, stored[1])
