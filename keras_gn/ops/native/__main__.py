"""`python -m keras_gn.ops.native build | status`: compiles the native kernel, or tells whether it is there."""

import argparse
import logging
import sys
import time

from keras_gn.ops.native.errors import NativeUnavailableError
from keras_gn.ops.native.library import build, find

FAILED = 1
INTERRUPTED = 130  # the shell's code for a program that Ctrl-C ended


def main() -> int:
    """Runs the command line; the exit status is 0 if there is a library that can be loaded."""
    parser = argparse.ArgumentParser(prog="python -m keras_gn.ops.native", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="compile it for the installed TensorFlow, unless that is done")
    builder.add_argument("--force", action="store_true", help="compile it even if there is one")
    commands.add_parser("status", help="tell where it is, or why there is none")
    arguments = parser.parse_args()
    _log_to_stdout()
    start = time.perf_counter()
    try:
        path = build(force=arguments.force) if arguments.command == "build" else find()
    except NativeUnavailableError as error:
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    sys.stdout.write(f"The native group normalization is ready ({time.perf_counter() - start:.1f} s): {path}\n")
    return 0


def _log_to_stdout() -> None:
    """Shows what keras_gn logs, and nothing of the libraries below it."""
    logger = logging.getLogger("keras_gn")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
