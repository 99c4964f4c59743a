"""Scores a run or a SavedModel: `python evaluate.py --run runs/NAME`; `--help` tells the rest."""

import os
import sys

from zoo.cli.entry import run_command_line

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up notes are no news to a user

if __name__ == "__main__":
    sys.exit(run_command_line("zoo.cli.evaluate"))
