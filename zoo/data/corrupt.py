"""Image and video files that can't be decoded: named, then refused or left out."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import tensorflow as tf

from zoo.data import image_ops
from zoo.data.records import OnCorrupt
from zoo.errors import UserError

_LOG = logging.getLogger(__name__)

# path -> (what is read, whether the file could be decoded)
Reader = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Files(Protocol):
    """Records that are files."""

    @property
    def on_corrupt(self) -> OnCorrupt: ...

    def __len__(self) -> int: ...


class CorruptFiles:
    """What becomes of files that can't be decoded, as `records.on_corrupt` says; for several threads.

    Args:
        records: the files.
        kind: what they are, in a word.

    Attributes:
        left_out: path -> reason.
    """

    def __init__(self, records: Files, *, kind: str) -> None:
        self.left_out: dict[str, str] = {}
        self._records, self._kind = records, kind
        self._lock = threading.Lock()

    def add(self, path: str, why: Callable[[], str]) -> None:
        """Notes that `path` can't be decoded, and why; that it is left out is logged once.

        Raises:
            UserError: corrupt files are refused, or this was the last one that was whole.
        """
        with self._lock:
            if self._records.on_corrupt == "refuse":
                raise UserError(
                    f"Can't read the {self._kind} {path}: {why()}. Repair or remove it, or leave such files out with "
                    '`on_corrupt="skip"` (`--on-corrupt skip`).'
                )
            if path not in self.left_out:
                self.left_out[path] = why()
                _LOG.warning("Left out %s: %s.", path, self.left_out[path])
            if len(self.left_out) == len(self._records):
                raise UserError(
                    f"None of the {len(self._records)} {self._kind}s can be decoded, the last one is {path}."
                )


def read_whole(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Path -> (uint8 [H, W, 3], True); a file that can't be decoded is TensorFlow's error, which names no file."""
    return image_ops.decode(tf.io.read_file(path)), tf.constant(True)


def image_reader(records: Files) -> Reader:
    """A function path -> (uint8 [H, W, 3], whether the file could be decoded), to be used in `Dataset.map`.

    What happens with a file that can't be decoded is up to `records.on_corrupt`: "refuse" stops with an error that
    names it (`translated_errors` turns it into a `UserError`), "skip" logs its name, once, and gives a black
    pixel and False.

    All but the report of a failure happens in TensorFlow, many files at a time.
    """
    return _guarded(read_whole, records, stand_in=tf.zeros([1, 1, 3], tf.uint8))


def file_reader(records: Files) -> Reader:
    """Like `image_reader`, but path -> (contents of the file, whether they could be decoded); "" for those skipped."""

    def read_contents(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        contents = tf.io.read_file(path)
        # Every image has pixels. An image that nothing asks for would not be decoded at all.
        return contents, tf.size(image_ops.decode(contents)) > 0

    return _guarded(read_contents, records, stand_in=tf.constant(b""))


def _guarded(read_one: Reader, records: Files, *, stand_in: tf.Tensor) -> Reader:
    """`read_one`, where a file that fails it is refused, or else reported and gives (stand_in, False)."""
    corrupt = CorruptFiles(records, kind="image")

    def report(encoded: tf.Tensor) -> bool:
        path = encoded.numpy().decode()
        corrupt.add(path, lambda: why_undecodable(path))
        return False

    def read(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # TensorFlow catches an error only in a data set: this one has the value, or nothing, and then the stand-in.
        found = tf.data.Dataset.from_tensors(path).map(read_one).ignore_errors()
        value, whole = found.concatenate(tf.data.Dataset.from_tensors((stand_in, False))).take(1).get_single_element()
        reported = tf.cond(whole, lambda: True, lambda: tf.py_function(report, [path], tf.bool))
        with tf.control_dependencies([reported]):
            return tf.identity(value), whole

    return read


def why_undecodable(path: str) -> str:
    """The reason, in a few words, for which the image file at `path` can't be decoded."""
    try:
        if Path(path).stat().st_size == 0:
            return "the file is empty"
        image_ops.decode(tf.io.read_file(path))
    except (OSError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError) as error:
        return getattr(error, "strerror", None) or "the file can't be opened"
    except tf.errors.OpError:
        return "it is not a whole JPEG, PNG, BMP or GIF image"
    return "reading it failed, though it can be read now"


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turns the TensorFlow error that a data pipeline raised for a bad image into the `UserError` it stands for.

    >>> with translated_errors():
    ...     raise tf.errors.UnknownError(None, None, "UserError: Can't read the image a.jpg: it is empty.")
    Traceback (most recent call last):
    ...
    zoo.errors.UserError: Can't read the image a.jpg: it is empty.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r"UserError: (.*)", error.message or "")
        if not found:
            raise
        raise UserError(found[1]) from error
