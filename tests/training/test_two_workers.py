"""What two real workers do together, by one start of the launcher for all tests of this file."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import two_workers_job as job
from test_mixed_precision import ALLOWED

from zoo.models.norms import parse_norm
from zoo.training.checkpoint import newest_first
from zoo.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """What each of the two found, by name."""
    folder = tmp_path_factory.mktemp("two_workers")
    job.train_and_crash("one", folder / "begun on one device")
    launcher = [sys.executable, "-m", "zoo.training.launch", "--workers", "2", "--logs", str(folder / "logs")]
    command = [*launcher, job.__file__, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [dict(np.load(folder / f"worker_{index}.npz")) for index in range(2)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run on one device that nothing interrupted, and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, job.train("one", "float32", folder, epochs=3)[1]


def assert_ends_alike(folder, weights, whole):
    """The average of the weights, which is in best.keras and in the history's validation, is the same too."""
    np.testing.assert_allclose(weights, whole[1], rtol=1e-4, atol=1e-5)
    history, expected = (pd.read_csv(RunFolder(path).history_file) for path in (folder, whole[0]))
    pd.testing.assert_frame_equal(history, expected, rtol=1e-4, atol=1e-5)
    best, expected = (job.vector(RunFolder(path).load_best_model()) for path in (folder, whole[0]))
    np.testing.assert_allclose(best, expected, rtol=1e-4, atol=1e-5)


def test_two_workers_go_on_with_a_run_of_one_device(workers, whole):
    name = "begun on one device"
    assert [worker["resumed after"].item() for worker in workers] == [job.CRASH_STEP] * 2
    assert_ends_alike(Path(workers[0]["folder"].item(), name), workers[0][name], whole)


def test_one_device_goes_on_with_a_run_of_two_workers(workers, whole, caplog):
    caplog.set_level("INFO")
    folder = Path(workers[0]["folder"].item(), "begun by two workers")
    assert newest_first(RunFolder(folder).checkpoints)[0].name == f"step_{job.CRASH_STEP:08d}"
    assert_ends_alike(folder, job.train("one", "float32", folder, epochs=3)[1], whole)
    assert f"goes on after step {job.CRASH_STEP}" in caplog.text


def test_two_workers_end_when_they_no_longer_get_better(workers):
    """Its first epoch is the best one, for nothing is learned."""
    folder = RunFolder(Path(workers[0]["folder"].item(), "standing"))
    assert list(pd.read_csv(folder.history_file)["epoch"]) == [1, 2, 3]


def test_an_epoch_has_every_example_once(workers):
    """In training and in the validation, whose 33 examples two workers can't share evenly."""
    numbers = [worker["mixed_bfloat16 computed"] for worker in workers]
    assert all(len(own) for own in numbers)
    assert sorted(np.concatenate(numbers)) == [*job.TRAINING, *job.VALIDATION]
    assert len(numbers[0][numbers[0] < 1000]) == len(job.TRAINING) // 2


@pytest.mark.parametrize("precision", job.PRECISIONS)
def test_workers_train_near_one_device(workers, precision, tmp_path):
    before, after = job.train("one", precision, tmp_path)
    first, second = (worker[precision] for worker in workers)
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()
    moved = np.linalg.norm(after - before)
    assert np.linalg.norm(first - after) < ALLOWED[precision] * moved


@pytest.mark.parametrize(("norm", "agrees"), [("sync_bn", True), ("bn", False)])
def test_sync_bn_normalizes_the_batch_of_all_workers(workers, norm, agrees):
    whole = parse_norm("bn").factory("norm1")
    outputs = whole(job.uneven_batch(), training=True)
    outputs_of_workers = np.concatenate([worker[f"{norm} outputs"] for worker in workers])
    assert np.allclose(outputs_of_workers, outputs, rtol=1e-4, atol=1e-5) == agrees
    variance = keras.ops.convert_to_numpy(whole.moving_variance)
    for worker in workers:
        assert np.allclose(worker[f"{norm} moving_variance"], variance, rtol=1e-5) == agrees


def test_a_sigterm_to_one_ends_both_after_the_same_step(workers):
    first, second = (int(worker["last step"]) for worker in workers)
    assert first == second >= job.SIGTERM_STEP
