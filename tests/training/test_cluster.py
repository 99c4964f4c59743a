"""Slurm's variables, and a program that answers as its scontrol does: Slurm itself isn't here."""

import json
import os

import pytest

from zoo.errors import UserError
from zoo.training.cluster import names_several_workers, slurm_tf_config


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


def test_several_tasks_a_node_are_refused(step, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(UserError, match=r"one task a node.*4 tasks on 2 nodes"):
        slurm_tf_config()


def test_an_unknown_list_of_nodes_is_told(step, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NODELIST", "other")
    with pytest.raises(UserError, match=r"scontrol.*'other'.*TF_CONFIG"):
        slurm_tf_config()
