"""The workers that the environment names, before any device is asked for."""

import json
import os

from zoo.errors import UserError


def workers_in_environment() -> list[str]:
    """The addresses in the environment variable TF_CONFIG, the chief's first.

    Raises:
        UserError: it isn't what TensorFlow describes.
    """
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
        return [*cluster.get("chief", []), *cluster.get("worker", [])]
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"`TF_CONFIG` must be JSON as TensorFlow describes it ({error}). Unset or mend it.") from error


def names_several_workers() -> bool:
    """Whether TF_CONFIG, or a Slurm step, has several processes train together."""
    return len(workers_in_environment()) > 1 or int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
