"""Atomic writing: a reader sees the old file or the new one, never a part of it, also after a loss of power."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TOKEN = 8  # hexadecimal digits in the temporary names


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write a file or a folder to; it becomes `path` on success.

    The temporary name keeps the suffix of `path`, since Keras and Pillow choose a format by it. On an
    error nothing is left behind and an earlier `path` stays as it was.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex[:_TOKEN]
    temporary = path.with_name(f".{token}.{path.name}")
    try:
        yield temporary
        _flush(temporary)
        if temporary.is_dir() and path.exists():
            # A folder can't be replaced in one step: the old one steps aside and goes once the new one is in.
            aside = path.with_name(f".{token}.old.{path.name}")
            path.rename(aside)
            temporary.rename(path)
            shutil.rmtree(aside)
        else:
            temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path, pattern: str = "*") -> None:
    """Removes what processes left of `atomic_path` in a folder when they were killed.

    Only for a folder that nobody writes to.

    Args:
        folder: may be missing.
        pattern: of the names that were to be written.
    """
    for path in folder.glob(f".{'[0-9a-f]' * _TOKEN}.{pattern}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _flush(path: Path) -> None:
    """Has the disk write a file, or all files of a folder, before their name says that they are whole."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
