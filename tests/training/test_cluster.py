"""Slurm's variables, and a program that answers as its scontrol does: Slurm itself isn't here."""

import json
import os

import pytest

from zoo.errors import UserError
from zoo.training.cluster import names_several_workers, slurm_tf_config, workers_in_environment
from zoo.training.distribute import make_strategy


@pytest.fixture
def step(monkeypatch, tmp_path):
    """Worker 1 of a step of two tasks."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[9-10]" ] && printf "node9\\nnode10\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in (("NUM_TASKS", "2"), ("NODELIST", "node[9-10]")):
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    monkeypatch.setenv("SLURM_PROCID", "1")


def test_nodes_stay_in_slurms_order(step):
    assert names_several_workers()
    assert json.loads(slurm_tf_config()) == {
        "cluster": {"worker": ["node9:8888", "node10:8888"]},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize(
    "task", ["", ', "task": {}', ', "task": {"type": "worker", "index": 2}', ', "task": {"type": "ps", "index": 0}']
)
def test_a_worker_without_a_place_is_told_to_have_one(monkeypatch, task):
    monkeypatch.setenv("TF_CONFIG", f'{{"cluster": {{"worker": ["a:1", "b:1"]}}{task}}}')
    with pytest.raises(UserError, match=r"`TF_CONFIG` must tell each worker its place.*cluster of 2"):
        workers_in_environment()


def test_a_worker_with_its_place_has_its_cluster(monkeypatch):
    cluster = {"worker": ["a:1", "b:1"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}}))
    assert workers_in_environment() == ["a:1", "b:1"]


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_workers_that_would_each_train_alone_are_refused(monkeypatch, name):
    cluster = {"worker": ["a:1", "b:1"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}}))
    with pytest.raises(UserError, match=f"`strategy` {name} trains in one process, and TF_CONFIG names 2 workers"):
        make_strategy.__wrapped__(name)


def test_multi_worker_without_workers_tells_how_a_run_goes_on_on_one_device(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    with pytest.raises(UserError, match=r"zoo\.training\.launch --workers 2.*add --strategy one"):
        make_strategy.__wrapped__("multi_worker")


def test_several_tasks_a_node_are_refused(step, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(UserError, match=r"one task a node.*4 tasks on 2 nodes"):
        slurm_tf_config()


def test_an_unknown_list_of_nodes_is_told(step, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NODELIST", "other")
    with pytest.raises(UserError, match=r"scontrol.*'other'.*TF_CONFIG"):
        slurm_tf_config()
