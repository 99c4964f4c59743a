"""Who may import whom: the one-way arrows of the architecture, and what importing keras_gn brings along."""

import ast
import importlib.util
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A room may import every room to the left of it, in these lines and by way of several of them.
# `keras_gn` and `zoo` alone are their `__init__.py`.
ARROWS = """
keras_gn.typing | keras_gn.callers | keras_gn.files <- keras_gn.ops <- keras_gn.layers <- keras_gn.convert
keras_gn.layers | keras_gn.convert <- keras_gn
keras_gn <- zoo.models <- zoo <- zoo.tasks
zoo.models <- zoo.weights
keras_gn <- zoo.files
zoo.errors | zoo.files <- zoo.data | zoo.models | zoo.weights | zoo.metrics
zoo.data | zoo.models | zoo.metrics <- zoo.tasks <- zoo.training | zoo.export
zoo.training | zoo.export <- zoo.recipes | zoo.studies <- zoo.cli <- train | evaluate
"""

# Rooms that import nothing else than these and the standard library, besides the rooms to their left.
THIRD_PARTY = {
    "keras_gn": {"keras", "numpy"},
    "keras_gn.typing": set(),
    "keras_gn.callers": set(),
    "keras_gn.files": set(),
    "keras_gn.ops": {"keras", "numpy"},
    "keras_gn.layers": {"keras", "numpy"},
    "keras_gn.convert": {"keras", "numpy"},
    "zoo.models": {"keras", "numpy", "h5py"},
    "zoo.weights": {"keras", "numpy", "ml_dtypes", "safetensors", "torch"},
    "zoo.errors": set(),
    "zoo.files": set(),
}


def parse_arrows(text: str) -> dict[str, set[str]]:
    """For each room, those it may import directly: its left neighbours."""
    may_import = {}
    for line in text.strip().splitlines():
        steps = [[room.strip() for room in step.split("|")] for step in line.split("<-")]
        for room in steps[0]:
            may_import.setdefault(room, set())
        for left, right in pairwise(steps):
            for room in right:
                may_import.setdefault(room, set()).update(left)
    return may_import


def reachable(may_import: dict[str, set[str]], room: str) -> set[str]:
    """Everything left of `room`; raises RecursionError if the arrows go round in a circle."""
    return set().union(*({left} | reachable(may_import, left) for left in may_import[room]))


def modules() -> dict[str, Path]:
    """Every module of the project, by its dotted name."""
    found = {name: ROOT / f"{name}.py" for name in ("train", "evaluate")}
    for package in ("keras_gn", "zoo"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return {name: path for name, path in found.items() if path.exists()}


MODULES = modules()
MAY_IMPORT = parse_arrows(ARROWS)


def room_of(module: str) -> str:
    """`zoo.data.readers.digits` is in the room `zoo.data`."""
    return ".".join(module.split(".")[:2])


def imported_modules(module: str) -> set[str]:
    """The dotted names that `module` imports anywhere in its text."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                full = f"{source}.{alias.name}"
                names.add(full if full in MODULES else source)
    return names


def is_of_project(name: str) -> bool:
    return name.split(".")[0] in {"keras_gn", "zoo", "train", "evaluate"}


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_one_way(module):
    room = room_of(module)
    assert room in MAY_IMPORT, f"give the room {room} its place in the arrows of the architecture"
    imported = {room_of(name) for name in imported_modules(module) if is_of_project(name)}
    assert imported <= {room} | reachable(MAY_IMPORT, room)


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in THIRD_PARTY])
def test_dependencies(module):
    if module.endswith("_kernel"):
        pytest.skip("a kernel names its backend")
    imported = {name.split(".")[0] for name in imported_modules(module) if not is_of_project(name)}
    assert imported - set(sys.stdlib_module_names) <= THIRD_PARTY[room_of(module)]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_tensorflow_stays_out(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = (
        "import sys, keras, keras_gn\n"
        "assert keras.backend.backend() == sys.argv[1]\n"
        "keras_gn.layers.GroupNormalization(2)(keras.ops.ones((2, 3, 4)))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": backend}
    result = subprocess.run(
        [sys.executable, "-c", code, backend], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
