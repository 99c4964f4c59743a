"""Training on several replicas and workers, and through faults, in processes of their own."""

import numpy as np
import pandas as pd
from fault_injection import checks, run_trials
from replicas_agree import Outcome, compare, difference, judge


def test_replicas_and_workers_end_as_one_device(capsys):
    found = compare(["mirrored_2", "workers_2", "workers_3"], 50)
    assert len(found) == 6
    assert all(check.holds for check in found), capsys.readouterr().out


def test_a_difference_is_seen():
    reference = [np.array([1.0, 0.0]), np.array(2.0)]
    assert difference(reference, reference) == 0
    assert difference([np.array([1.0, 2e-5]), np.array(2.0)], reference) > 1
    assert difference([np.array([1.0, 0.0]), np.array(2.0 + 1e-4)], reference) < 1


def outcome(seed, weights):
    return Outcome("workers_2", seed, weights, 0.0, pd.Series())


def test_the_nearest_seed_counts():
    parted_once = judge([outcome(0, 284.0), outcome(1, 1.1), outcome(2, 0.003)], "workers_2")
    assert [check.holds for check in parted_once] == [True, True]
    assert not judge([outcome(0, 284.0), outcome(1, 1.1), outcome(2, 1.2)], "workers_2")[0].holds


def test_killed_runs_end_as_if_nothing_had_happened(tmp_path):
    trials = run_trials(["kill", "terminate", "worker"], 3, tmp_path)
    assert trials[0].status in (-9, 0)  # 0: the run was quicker than the undisturbed one, and had ended
    assert all(check.holds for check in checks(trials)), trials
