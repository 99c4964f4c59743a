"""The workers that the environment names, before any device is asked for."""

import json
import os
import subprocess

from zoo.errors import UserError

_SLURM_PORT = 8888


def workers_in_environment() -> list[str]:
    """The addresses in the environment variable TF_CONFIG, the chief's first.

    Raises:
        UserError: it isn't what TensorFlow describes, or doesn't say which of them this process is.
    """
    try:
        content = json.loads(os.environ.get("TF_CONFIG") or "{}")
        cluster, task = content.get("cluster", {}), content.get("task", {})
        workers = [*cluster.get("chief", []), *cluster.get("worker", [])]
        placed = not workers or int(task.get("index", -1)) in range(len(cluster.get(task.get("type"), [])))
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"`TF_CONFIG` must be JSON as TensorFlow describes it ({error}). Unset or mend it.") from error
    if not placed:
        raise UserError(
            '`TF_CONFIG` must tell each worker its place, as "task": {"type": "worker", "index": 0}. Received: '
            f"task={task!r}, for a cluster of {len(workers)}. docs/clusters.md has an example."
        )
    return workers


def names_several_workers() -> bool:
    """Whether TF_CONFIG, or a Slurm step, has several processes train together."""
    return len(workers_in_environment()) > 1 or int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1


def slurm_tf_config() -> str:
    """The TF_CONFIG of this task of a Slurm step: one worker a node, in the order in which Slurm numbers them.

    TensorFlow's own resolver sorts the nodes by name, so that node10 comes before node9 and workers miss each other.

    Raises:
        UserError: a node has several tasks, or Slurm's `scontrol` doesn't tell the nodes.
    """
    nodes, tasks = os.environ.get("SLURM_STEP_NODELIST", ""), int(os.environ["SLURM_STEP_NUM_TASKS"])
    try:
        command = ["scontrol", "show", "hostnames", nodes]
        hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"`strategy` multi_worker asks Slurm's scontrol for the nodes of SLURM_STEP_NODELIST={nodes!r}, and it "
            f"failed ({error}). Set TF_CONFIG instead; docs/clusters.md shows how."
        ) from error
    if len(hosts) != tasks:
        raise UserError(
            f"`strategy` multi_worker needs one task a node, which takes all its GPUs. Received: {tasks} tasks on "
            f"{len(hosts)} nodes. Start the step with --ntasks-per-node=1."
        )
    workers = [f"{host}:{_SLURM_PORT}" for host in hosts]
    task = {"type": "worker", "index": int(os.environ["SLURM_PROCID"])}
    return json.dumps({"cluster": {"worker": workers}, "task": task})
