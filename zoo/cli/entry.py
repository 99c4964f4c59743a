"""From a script to its command line: what fails before that can be parsed ends in one line as well."""

import importlib
import sys

FAILED = 2
INTERRUPTED = 130  # the shell's code for a program that Ctrl-C ended


def run_command_line(module: str) -> int:
    """Imports `module`, with Keras and its backend, and runs its `main`; returns the exit status."""
    try:
        try:
            import keras  # noqa: F401
        except (ImportError, ValueError) as error:  # its words for a backend that isn't installed, or doesn't exist
            reason = str(error).splitlines()[0]
            return fail(
                f"Keras can't start on its backend ({reason}). Set the environment variable KERAS_BACKEND to "
                "tensorflow, or to jax where that is installed; train.py and evaluate.py run on no other."
            )
        return int(importlib.import_module(module).main())
    except KeyboardInterrupt:
        return INTERRUPTED


def fail(message: str) -> int:
    """Tells what a user can mend; returns the exit status."""
    sys.stderr.write(f"error: {message}\n")
    return FAILED
