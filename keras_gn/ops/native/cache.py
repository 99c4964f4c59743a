"""A folder of the user's cache that holds one compiled library: private, whole and checked before use.

    FOLDER/build.json              names the library by its digest and tells how it was made
    FOLDER/keras_gn-<digest>.so    the library
    FOLDER/lock                    held by the process that builds
    FOLDER/building-*/             what a build writes; a killed one leaves it behind, and nothing reads it

Loading a library runs its code, so nobody else may have written it; and a part of one can crash the process.
Files come in by renaming: the library first, then the record. As the record names the library by its content,
a reader finds a matching pair at any moment, whoever builds or dies meanwhile.
"""

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from keras_gn.ops.native.errors import NativeUnavailableError

logger = logging.getLogger(__name__)

RECORD = "build.json"
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/keras_gn/native`, or the same in `~/.cache`; symbolic links are resolved.

    Raises:
        NativeUnavailableError: If neither is known.
    """
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # The XDG specification has relative paths ignored.
        root = chosen if chosen.is_absolute() else Path.home() / ".cache"
        return (root / "keras_gn" / "native").resolve()
    except RuntimeError as error:  # no home, or links that go round in a circle
        raise NativeUnavailableError(f"No cache folder: {error}. Set XDG_CACHE_HOME to a folder of yours.") from error


def make_private_folder(folder: Path) -> None:
    """Creates `folder` and its parents, those that are missing with mode 0700."""
    for path in [*reversed(folder.parents), folder]:
        path.mkdir(mode=0o700, exist_ok=True)


def refuse_shared(folder: Path) -> None:
    """Raises NativeUnavailableError unless only the user and root can change what is in `folder`.

    Whoever can write to a folder above it could put another in its place. Folders such as /tmp, where
    the sticky bit lets nobody rename what is another's, are safe as parents.
    """
    for path in (folder, *folder.parents):
        status = path.lstat()
        way_out = "Set XDG_CACHE_HOME to a folder that only you can write to"
        if not stat.S_ISDIR(status.st_mode):
            raise NativeUnavailableError(f"Unsafe cache folder {folder}: {path} is not a folder. {way_out}.")
        if status.st_uid not in (0, os.geteuid()):
            raise NativeUnavailableError(f"Unsafe cache folder {folder}: {path} belongs to another user. {way_out}.")
        sticky = path != folder and status.st_mode & stat.S_ISVTX
        if status.st_mode & WRITABLE_BY_OTHERS and not sticky:
            raise NativeUnavailableError(
                f"Unsafe cache folder {folder}: others can write to {path}. Run `chmod go-w {path}`, or set "
                "XDG_CACHE_HOME to a folder that only you can write to."
            )


def stored_library(folder: Path) -> Path:
    """The library in `folder`, once it is known to be the user's own and whole.

    Raises:
        NativeUnavailableError: If there is none, or none that is safe to load.
    """
    build = "run `python -m keras_gn.ops.native build`"
    try:
        refuse_shared(folder)
        digest = json.loads((folder / RECORD).read_text(encoding="utf-8"))["sha256"]
        library = folder / _file_name(digest)
    except FileNotFoundError as error:
        raise NativeUnavailableError(
            f"The native kernel is not built for this TensorFlow: nothing in {folder}; {build}."
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NativeUnavailableError(f"The record {folder / RECORD} can't be read ({error}); {build}.") from error
    try:
        status = library.lstat()
        sound = stat.S_ISREG(status.st_mode) and _digest(library) == digest
    except OSError:
        sound = False
    if not sound:
        raise NativeUnavailableError(f"The library {library} is damaged: it is not what was built; {build}.")
    if status.st_uid != os.geteuid() or status.st_mode & WRITABLE_BY_OTHERS:
        raise NativeUnavailableError(f"The library {library} is not safe: others can write to it; {build}.")
    return library


def store_library(library: Path, folder: Path, *, record: dict[str, Any]) -> Path:
    """Moves a new `library` from its temporary folder inside `folder` to its place; returns that.

    An earlier library of other content stays: processes may be about to load it.
    """
    digest = _digest(library)
    temporary = library.with_name(RECORD)
    temporary.write_text(json.dumps({"sha256": digest, **record}, indent=2) + "\n", encoding="utf-8")
    library.chmod(0o600)
    stored = library.replace(folder / _file_name(digest))
    temporary.replace(folder / RECORD)
    return stored


@contextmanager
def build_lock(folder: Path) -> Iterator[None]:
    """Lets one process at a time build in `folder`; the lock of a process that dies is free at once."""
    import fcntl  # which Windows has not

    with (folder / "lock").open("w") as file:
        # Some network file systems have no locks: there, two builders work twice and the last one wins.
        with suppress(OSError):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("Waiting for another process that compiles the native group normalization ...")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _file_name(digest: str) -> str:
    return f"keras_gn-{digest[:16]}.so"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
