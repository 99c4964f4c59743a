"""A run folder: where everything of one run lies, and when it may be written to."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import UserError
from zoo.files import write_json
from zoo.training.config import TrainConfig


@dataclass(frozen=True)
class RunFolder:
    """The layout of a run.

    `config.json` the configuration; `history.csv`, `curves.png`, `logs/` (TensorBoard) how it went;
    `checkpoints/` what a resume needs; `best.keras` the best model; `export/` its SavedModel;
    `metrics.json` and `evaluation/` how good it is.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def history_file(self) -> Path:
        return self.path / "history.csv"

    @property
    def curves_file(self) -> Path:
        return self.path / "curves.png"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best_model(self) -> Path:
        return self.path / "best.keras"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.json"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation"

    def read_config(self) -> TrainConfig:
        """The configuration of the run; a clear error where the folder is no run."""
        try:
            content = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"`run` must be a run folder with a config.json. Received: run={str(self.path)!r}. "
                "Give the folder that train.py printed."
            ) from None
        except json.JSONDecodeError as error:
            raise UserError(f"{self.config_file} is not valid JSON ({error}); restore it from a copy.") from error
        return TrainConfig.from_json(content)


def default_path(config: TrainConfig, *, resume: bool, root: Path = Path("runs")) -> Path:
    """`runs/<model>-<norm>-<dataset>`, numbered where it exists; to resume, the newest of them."""
    norm = re.sub(r"[^a-z0-9+_]+", "-", config.norm.lower())
    name = f"{config.model}-{norm}-{config.dataset}"
    existing = [path for path in root.glob(f"{name}*") if re.fullmatch(re.escape(name) + r"(-\d+)?", path.name)]
    numbers = [int(path.name.removeprefix(name).lstrip("-") or 1) for path in existing]
    number = max(numbers, default=0) + (0 if resume and numbers else 1)
    return root / (name if number == 1 else f"{name}-{number}")


def start(path: Path, config: TrainConfig, *, resume: bool) -> RunFolder:
    """Makes the folder of a new run, or opens that of an interrupted one.

    Raises:
        UserError: the folder exists and `resume` is False, it doesn't exist and `resume` is True, its
            config is another one, or it can't be written to.
    """
    folder = RunFolder(path)
    if resume:
        _refuse_other_config(folder.read_config(), config)
        return folder
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(
            f"`output` must be a new or empty folder. Received: output={str(path)!r}, which exists. "
            "Add --resume to continue that run, or choose another folder."
        )
    try:
        write_json(folder.config_file, config.to_json())
    except OSError as error:
        raise UserError(
            f"`output` must be a folder that can be written to. Received: output={str(path)!r} ({error}). "
            "Choose another folder."
        ) from error
    return folder


def require_space(folder: RunFolder, parameters: int) -> None:
    """Refuses to start a run whose files would fill the disk.

    A run keeps at most four checkpoints while it rotates them (weights and two slots of the optimizer
    each), and two models.
    """
    needed = 4 * parameters * (4 * 3 + 2)
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        raise UserError(
            f"`output` must have room for the checkpoints: about {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are "
            f"free. Received: output={str(folder.path)!r}. Free some space or choose another disk."
        )


def _refuse_other_config(stored: TrainConfig, received: TrainConfig) -> None:
    differences = [
        f"{name}={new!r} (the run has {old!r})"
        for (name, old), new in zip(stored.to_json().items(), received.to_json().values(), strict=True)
        if old != new
    ]
    if differences:
        raise UserError(
            f"`resume` continues a run with its own settings. Received: {', '.join(differences)}. "
            "Leave these arguments out, or start a new run in another folder."
        )
