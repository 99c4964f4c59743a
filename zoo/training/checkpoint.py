"""Checkpoints: everything that the next step depends on, written beside the training, whole or not at all."""

import hashlib
import json
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gn.files import atomic_path, remove_unfinished
from zoo.errors import UserError
from zoo.training.backend import training_backend
from zoo.training.distribute import from_chief, is_chief

logger = logging.getLogger(__name__)

KEEP = 2  # the newest, and the one before in case the newest turns out unreadable
# What the chief tells the others in place of a step.
_NONE = -1
_UNREADABLE_ONLY = -2


@dataclass
class Progress:
    """Where a run is, besides the numbers in its variables.

    `step` counts steps since the run began, those too in which mixed_float16 skips an update, `epoch` finished epochs
    and `batch` the steps done in the next one; `history` has a row (name -> value) for each finished epoch, `best` is
    the highest value of the watched metric so far, None before the first, and `best_epoch` the epoch that had it.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0


class Checkpoints:
    """The newest checkpoints of a run, in folders `step_NNNNNNNN`.

    One has the model's variables, those of its random generators among them, the optimizer's and, within an epoch, the
    metrics' so far, with a checksum; and the `Progress`. A thread writes it while the training goes on. All workers
    call the same methods at the same steps, and the chief writes.

    Args:
        folder: where they lie; the same for all workers.
        trainer: a compiled model whose optimizer is built.
    """

    def __init__(self, folder: Path, trainer: keras.Model) -> None:
        self.folder = folder
        self.trainer = trainer
        self._strategy = trainer.distribute_strategy
        self._metrics: list[np.ndarray] = []
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def save(self, progress: Progress) -> None:
        """Takes a copy of everything, and writes it once the one before is written.

        Raises:
            OSError: the one before couldn't be written.
        """
        training_backend().synchronize(self.trainer)
        metrics = self.trainer.metrics_variables if progress.batch else []
        arrays = {"state": _values(self._state()), "metric": _values(metrics)}
        content = {**asdict(progress), "architecture": self._fingerprint(), "backend": keras.backend.backend()}
        self.wait()
        if is_chief(self._strategy):
            self._writing = self._writer.submit(_write, self.folder / f"step_{progress.step:08d}", arrays, content)

    def wait(self) -> None:
        """Returns when everything is written.

        Raises:
            OSError: it couldn't be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def raise_if_failed(self) -> None:
        """Raises as `wait` does if the last writing has failed, without waiting for it."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def restore(self) -> Progress:
        """Sets the model and its optimizer to the newest readable checkpoint; without any, a run starts at epoch 0.

        Unreadable ones that are newer step aside, into folders `unreadable_*`.

        Raises:
            UserError: no checkpoint is readable, it is of another architecture, or a worker doesn't see it.
        """
        found, unreadable = self._newest() if is_chief(self._strategy) else (None, [])
        step = from_chief(self._strategy, _step(found[0]) if found else _UNREADABLE_ONLY if unreadable else _NONE)
        if step == _NONE:
            return Progress()
        if step == _UNREADABLE_ONLY:
            raise UserError(
                f"`resume` needs a checkpoint that can be read. Received: {self.folder}, where none can: "
                f"{', '.join(path.name for path in unreadable) or 'see the chief'}. Nothing was changed. Restore one "
                "of them from a copy, or start anew with another --output."
            )
        path = self.folder / f"step_{step:08d}"
        try:
            _, content, arrays = found or (path, *_read(path))
        except _UNREADABLE as error:
            raise UserError(
                f"`output` must be a folder that all workers see. Received: {path}, unreadable here ({error})."
            ) from error
        if content.pop("architecture") != self._fingerprint():
            raise UserError(
                f"`resume` needs a checkpoint of the same architecture. Received: {path}, whose variables have other "
                "names or shapes than those of the model. Resume with the model that wrote it, or start anew."
            )
        _warn_of_other_backend(content.pop("backend", None))
        for broken in unreadable:
            broken.rename(Path(tempfile.mkdtemp(prefix="unreadable_", dir=self.folder), broken.name))
        _assign(self._state(), arrays["state"])
        self._metrics = arrays["metric"]
        return Progress(**content)

    def restore_metrics(self) -> None:
        """Sets the metrics, which exist only once `fit` has begun, to what they were within the epoch."""
        if self._metrics:
            _assign(self.trainer.metrics_variables, self._metrics)
        self._metrics = []

    def close(self) -> None:
        """Waits as `wait` does, and ends the thread."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()

    def _state(self) -> list[keras.Variable]:
        metrics = {id(variable) for variable in self.trainer.metrics_variables}
        variables = [*self.trainer.variables, *self.trainer.optimizer.variables]
        return list({id(variable): variable for variable in variables if id(variable) not in metrics}.values())

    def _fingerprint(self) -> str:
        """A hash of the weights' paths and of every variable's shape, in order: equal for equal architectures."""
        names = [variable.path for variable in self.trainer.weights]  # Keras numbers those of its optimizers
        shapes = [tuple(variable.shape) for variable in self._state()]
        return hashlib.sha256(f"{names}{shapes}".encode()).hexdigest()

    def _newest(self) -> tuple[tuple[Path, dict[str, Any], dict[str, list[np.ndarray]]] | None, list[Path]]:
        """The newest that can be read, and those newer that can't; removes what a killed process left unfinished."""
        remove_unfinished(self.folder, "*step_*")
        unreadable: list[Path] = []
        for path in newest_first(self.folder):
            try:
                return (path, *_read(path)), unreadable
            except _UNREADABLE as error:
                logger.warning("skipped the unreadable checkpoint %s (%s)", path, error)
                unreadable.append(path)
        return None, unreadable


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder."""
    return sorted(folder.glob("step_*"), key=_step, reverse=True)


def _warn_of_other_backend(name: str | None) -> None:
    if name not in (None, keras.backend.backend()):  # older checkpoints don't tell
        logger.warning(
            "the run was on %s and goes on on %s: with the same weights, but other rounding and random numbers",
            name,
            keras.backend.backend(),
        )


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def _write(target: Path, arrays: dict[str, list[np.ndarray]], content: dict[str, Any]) -> None:
    with atomic_path(target) as temporary:
        temporary.mkdir()
        file = _arrays_file(temporary)
        numbered = {f"{kind}_{index}": array for kind, each in arrays.items() for index, array in enumerate(each)}
        np.savez(file, **numbered)
        content = {**content, "sha256": _checksum(file, content)}
        _state_file(temporary).write_text(json.dumps(content, indent=2), encoding="utf-8")
    for old in newest_first(target.parent)[KEEP:]:
        shutil.rmtree(old)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    content = json.loads(_state_file(path).read_text(encoding="utf-8"))
    file = _arrays_file(path)
    if content.pop("sha256") != _checksum(file, content):
        raise ValueError("its checksum differs")
    with np.load(file, allow_pickle=False) as stored:
        arrays: dict[str, list[np.ndarray]] = {"state": [], "metric": []}
        for name in stored.files:  # in the order of writing
            arrays[name.partition("_")[0]].append(stored[name])
    return content, arrays


def _checksum(file: Path, content: dict[str, Any]) -> str:
    """Of the arrays and of all that stands beside them."""
    return hashlib.sha256(file.read_bytes() + json.dumps(content, sort_keys=True).encode()).hexdigest()


def _values(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    # A copy: what a variable shows may be its own memory, which the next step overwrites.
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def _arrays_file(folder: Path) -> Path:
    return folder / "variables.npz"


def _state_file(folder: Path) -> Path:
    return folder / "state.json"
