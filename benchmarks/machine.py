"""What a figure was measured on."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("keras_gn", "keras", "tensorflow", "jax", "torch", "numpy")


def describe_machine() -> dict[str, Any]:
    """CPU, cores and the versions of what is installed, for the JSON of a benchmark."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"cpu": _cpu_name(), "cpus": os.cpu_count(), "python": platform.python_version(), "versions": versions}


def _cpu_name() -> str:
    """Linux knows the model; elsewhere the architecture has to do."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
