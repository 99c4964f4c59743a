"""What both command lines share: logging, and errors that end in a sentence instead of a traceback."""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable

import tensorflow as tf

from zoo.cli.entry import INTERRUPTED, fail
from zoo.data import corrupt
from zoo.errors import UserError
from zoo.training.preemption import PreemptedError


def run(command: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Runs a command and returns its exit status; what a user can mend is told in one message."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.WARNING)
    logging.getLogger("jax").setLevel(logging.WARNING)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        with corrupt.translated_errors():
            command(arguments)
    except UserError as error:
        return fail(str(error))
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            return fail(f"Could not write {error.filename or 'a file'}: {error.strerror}. {_DISK_HINT}")
        if error.errno in _ACCESS_ERRORS:
            return fail(f"No access to {error.filename}: {error.strerror}. Change its permissions, or choose another.")
        raise
    except tf.errors.ResourceExhaustedError as error:
        if "No space left" in error.message:  # TensorFlow's word for a full disk
            return fail(f"Could not write: {error.message.splitlines()[0]}. {_DISK_HINT}")
        return fail(f"Out of memory; choose a smaller --batch-size. {error.message.splitlines()[0]}")
    except RuntimeError as error:
        if str(error).startswith("RESOURCE_EXHAUSTED"):  # JAX's word for a full memory
            return fail(f"Out of memory; choose a smaller --batch-size. {str(error).splitlines()[0]}")
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except PreemptedError as error:
        return INTERRUPTED if error.by_user else os.EX_TEMPFAIL  # run it again, it says to a cluster
    return 0


_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_ACCESS_ERRORS = (errno.EACCES, errno.EPERM)
_DISK_HINT = "What was written before is whole; free some space, or choose another --output."
