"""Checkpoints at the end of an epoch: weights, optimizer and the history so far, whole or not at all."""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from zoo.errors import UserError
from zoo.files import atomic_path

logger = logging.getLogger(__name__)

KEEP = 2  # the newest, and the one before in case the newest turns out unreadable


@dataclass
class Progress:
    """What the next epoch depends on besides weights and optimizer.

    `epoch` counts finished epochs, `history` has a row (name -> value) for each of them, and `best` is the
    highest value of the watched metric so far, None before the first.
    """

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None


def save(folder: Path, model: keras.Model, progress: Progress) -> Path:
    """Writes `folder/epoch_NNNN/` in one step and removes all but the newest checkpoints."""
    target = folder / f"epoch_{progress.epoch:04d}"
    with atomic_path(target) as temporary:
        temporary.mkdir()
        model.save_weights(_weights_file(temporary))
        state = {
            "epoch": progress.epoch,
            "history": progress.history,
            "best": progress.best,
            "architecture": fingerprint(model),
        }
        (temporary / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
    for old in sorted(folder.glob("epoch_*"))[:-KEEP]:
        shutil.rmtree(old)
    return target


def restore_latest(folder: Path, model: keras.Model) -> Progress:
    """Loads the newest readable checkpoint into a compiled `model`; without one, training starts at epoch 0.

    Raises:
        UserError: the checkpoint is of another architecture.
    """
    for path in sorted(folder.glob("epoch_*"), reverse=True):
        try:
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            progress = Progress(epoch=state["epoch"], history=state["history"], best=state["best"])
            _refuse_other_architecture(path, state["architecture"], model)
            model.load_weights(_weights_file(path))
        except UserError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("skipped the unreadable checkpoint %s (%s)", path, error)
            continue
        return progress
    return Progress()


def fingerprint(model: keras.Model) -> str:
    """A hash of every weight's path and shape, in order: equal for equal architectures."""
    lines = [f"{weight.path} {tuple(weight.shape)}" for weight in model.weights]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _weights_file(folder: Path) -> Path:
    return folder / "state.weights.h5"


def _refuse_other_architecture(path: Path, stored: str, model: keras.Model) -> None:
    if stored != fingerprint(model):
        raise UserError(
            f"`resume` needs a checkpoint of the same architecture. Received: {path}, whose weights have other "
            f"names or shapes than those of {model.name}. Resume with the model that wrote it, or start anew."
        )
