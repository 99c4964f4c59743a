"""A run folder: where everything of one run lies, and when it may be written to."""

import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

import keras_gn  # noqa: F401  its layers, to load models with them
import zoo.models.build  # noqa: F401  and its models
from keras_gn.files import remove_unfinished
from zoo.errors import UserError
from zoo.files import write_json
from zoo.training.config import TrainConfig
from zoo.training.continuation import resume_command

# What may differ where a run goes on: its devices, their compiler, and where the data lie.
_OF_THE_MACHINE = ("strategy", "jit", "data_dir")


def _inside(name: str) -> property:
    return property(lambda folder: folder.path / name)


@dataclass(frozen=True)
class RunFolder:
    """The layout of a run.

    `config.json` the configuration; `task.json` what the model was made for; `history.csv`, `curves.png` and
    `logs/` (TensorBoard) how it went; `checkpoints/` what a resume needs; `best.keras` the best model; `export/`
    its SavedModel; `metrics.json` and `evaluation/` how good it is.
    """

    path: Path

    config_file = _inside("config.json")
    history_file = _inside("history.csv")
    curves_file = _inside("curves.png")
    logs = _inside("logs")
    checkpoints = _inside("checkpoints")
    best_model = _inside("best.keras")
    export = _inside("export")
    metrics_file = _inside("metrics.json")
    evaluation = _inside("evaluation")
    task_file = _inside("task.json")

    def read_config(self) -> TrainConfig:
        """The configuration of the run; a clear error where the folder is no run."""
        return TrainConfig.from_json(self._read(self.config_file))

    def read_task(self) -> dict[str, Any]:
        """What the task of the run says of itself: data set, class names, image size."""
        return self._read(self.task_file)

    def load_best_model(self) -> keras.Model:
        """The best model so far, without an optimizer."""
        if not self.best_model.exists():
            raise UserError(
                f"`run` must have ended an epoch: {self.best_model} is missing. Received: run={str(self.path)!r}. "
                f"Continue it with: {resume_command(self.path)}"
            )
        try:
            return keras.models.load_model(self.best_model, compile=False)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self.best_model} can't be read ({error}). Restore it from a copy, or train again."
            ) from error

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"`run` must be a run folder with a {path.name}. Received: run={str(self.path)!r}. "
                "Give the folder that train.py printed."
            ) from None
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON ({error}); restore it from a copy.") from error
        if not isinstance(content, dict):
            raise UserError(f"{path} must hold a JSON object, as train.py wrote it; restore it from a copy.")
        return content


def default_path(config: TrainConfig, *, resume: bool, root: Path = Path("runs")) -> Path:
    """`runs/<model>-<norm>-<dataset>`, numbered where it exists; to resume, the newest of them."""
    norm = re.sub(r"[^a-z0-9+_]+", "-", config.norm.lower())
    name = f"{config.model}-{norm}-{config.dataset}"
    existing = [path for path in root.glob(f"{name}*") if re.fullmatch(re.escape(name) + r"(-\d+)?", path.name)]
    numbers = [int(path.name.removeprefix(name).lstrip("-") or 1) for path in existing]
    number = max(numbers, default=0) + (0 if resume and numbers else 1)
    return root / (name if number == 1 else f"{name}-{number}")


def refuse_no_run(path: Path) -> None:
    """Refuses to resume a run that isn't there.

    Raises:
        UserError: the folder is missing, or no run.
    """
    if not RunFolder(path).config_file.exists():
        raise UserError(
            f"`resume` needs the folder of a run, with a config.json, as `output`. Received: output={str(path)!r}, "
            f"which {'has none' if path.exists() else 'does not exist'}. Give the folder that train.py printed, or "
            "leave out --resume to start a new run."
        )


def refuse_conflict(path: Path, config: TrainConfig, *, resume: bool) -> None:
    """Refuses, before any work is done, a folder that a run can't start or go on in.

    Raises:
        UserError: the folder exists and `resume` is False, it is no run and `resume` is True, or the run in
            it has another configuration.
    """
    if resume:
        refuse_no_run(path)
        _refuse_other_config(RunFolder(path).read_config(), config)
    elif path.exists() and not _nothing_to_lose(path):
        is_run = RunFolder(path).config_file.exists()
        raise UserError(
            f"`output` must be a new or empty folder. Received: output={str(path)!r}, which exists"
            + (". Add --resume to continue that run, or choose" if is_run else " and is no run. Choose")
            + " another folder."
        )


def start(path: Path, config: TrainConfig, metadata: dict[str, Any], *, resume: bool) -> RunFolder:
    """Makes the folder of a new run, or opens that of an interrupted one.

    Args:
        path: the folder.
        config: the configuration, kept as `config.json`.
        metadata: what the task says of itself, its class names and how many examples it has among it, kept as
            `task.json`.
        resume: whether the run exists already.

    Raises:
        UserError: as `refuse_conflict`; the folder can't be written to; or the data of an interrupted run
            have changed.
    """
    refuse_conflict(path, config, resume=resume)
    folder = RunFolder(path)
    if resume:
        _refuse_other_data(folder, metadata)
        remove_unfinished(path)
    try:
        write_json(folder.task_file, metadata)
        write_json(folder.config_file, config.to_json())  # the last one: by this file a folder is a run
    except OSError as error:
        raise UserError(
            f"`output` must be a folder that can be written to. Received: output={str(path)!r} ({error}). "
            "Choose another folder."
        ) from error
    return folder


def require_space(path: Path, parameters: int) -> None:
    """Refuses to start a run whose files would fill the disk.

    A run keeps at most four checkpoints while it rotates them (each of the weights, two slots of the optimizer and an
    average), and two models.
    """
    needed = 4 * parameters * (4 * 4 + 2)
    existing = next(parent for parent in (path, *path.resolve().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"`output` must have room for the checkpoints: about {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are "
            f"free. Received: output={str(path)!r}. Free some space or choose another disk."
        )


def _nothing_to_lose(path: Path) -> bool:
    """Whether a folder is empty, or that of a run in which no epoch has ended."""
    if not path.is_dir():
        return False
    folder = RunFolder(path)
    begun = {folder.config_file, folder.task_file, folder.logs, folder.checkpoints}
    return set(path.iterdir()) <= begun and not any(folder.checkpoints.glob("*"))


def _refuse_other_data(folder: RunFolder, metadata: dict[str, Any]) -> None:
    stored = folder.read_task()
    names = [name for name in {**stored, **metadata} if stored.get(name) != metadata.get(name)]
    if names:
        differences = "; ".join(
            f"{name} {_shortened(metadata.get(name))} instead of {_shortened(stored.get(name))}" for name in names
        )
        raise UserError(
            f"`resume` needs the data that the run began with, as {folder.task_file} tells. Received: {differences}. "
            "Restore the data, or start a new run."
        )


def _shortened(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _refuse_other_config(stored: TrainConfig, received: TrainConfig) -> None:
    differences = [
        f"{name}={new!r} (the run has {old!r})"
        for (name, old), new in zip(stored.to_json().items(), received.to_json().values(), strict=True)
        if old != new and name not in _OF_THE_MACHINE
    ]
    if differences:
        raise UserError(
            f"`resume` continues a run with its own settings. Received: {', '.join(differences)}. "
            "Leave these arguments out, or start a new run in another folder."
        )
