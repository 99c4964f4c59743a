"""How a user goes on with a run that was interrupted."""

import os
import shlex
from pathlib import Path

import keras

from zoo.training.cluster import names_several_workers
from zoo.training.launch_workers import LAUNCHER

EVERY_EPOCH = "1epoch"


def resume_command(path: Path, *, checkpoint_every: str = EVERY_EPOCH) -> str:
    """The command line that goes on with the run in `path`, on the backend and by the launcher that began it."""
    backend = keras.backend.backend()
    on_backend = "" if backend == "tensorflow" else f"KERAS_BACKEND={backend} "
    launcher = os.environ.get(LAUNCHER)
    everywhere = " (on every worker)" if names_several_workers() and not launcher else ""
    every = "" if checkpoint_every == EVERY_EPOCH else f" --checkpoint-every {shlex.quote(checkpoint_every)}"
    return f"{on_backend}{launcher or 'python'} train.py --output {shlex.quote(str(path))} --resume{every}{everywhere}"
