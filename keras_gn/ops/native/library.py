"""Builds, finds and loads the library of the native kernel."""

import functools
import hashlib
import os
import platform
import tempfile
import time
from pathlib import Path
from types import ModuleType

from keras_gn.ops.native import cache
from keras_gn.ops.native.compiler import COMMON_FLAGS, compile_library, object_files
from keras_gn.ops.native.errors import BuildError, NativeUnavailableError
from keras_gn.ops.native.toolchain_kernel import Toolchain, load_op_library, tensorflow_toolchain

SOURCES = Path(__file__).parent

_builds = 0


def build(*, force: bool = False) -> Path:
    """Compiles the native kernel for the installed TensorFlow, unless that was done before.

    The library goes to `$XDG_CACHE_HOME/keras_gn/native` (by default in `~/.cache`) and is used by every
    process of the user with this TensorFlow from then on. Any number of processes may call this at once.

    Args:
        force: Compile it even if there is one.

    Returns:
        The path of the library.

    Raises:
        BuildError: If there is no compiler, if it fails, or if the cache can't be written.
        NativeUnavailableError: If TensorFlow is missing, or if others can write to the cache.
    """
    global _builds
    library = build_library(SOURCES, toolchain=tensorflow_toolchain(), force=force)
    _builds += 1
    return library


def builds() -> int:
    """How many times this process has called `build` with success."""
    return _builds


@functools.cache
def load() -> ModuleType:
    """The functions of the native ops, from the library that `build` made; loaded once in a process.

    Raises:
        NativeUnavailableError: If it was not built for the installed TensorFlow, or if it is not safe to load
            (damaged, or in a folder that others can write to).
    """
    return load_op_library(find())


def find() -> Path:
    """The path of the library that `load` loads.

    Raises:
        NativeUnavailableError: As in `load`.
    """
    return find_library(SOURCES, toolchain=tensorflow_toolchain())


def find_library(sources: Path, *, toolchain: Toolchain) -> Path:
    """The path of the library that was built from `sources` for `toolchain`, safe to load.

    Raises:
        NativeUnavailableError: If there is none.
    """
    return cache.stored_library(library_folder(sources, toolchain=toolchain))


def build_library(sources: Path, *, toolchain: Toolchain, force: bool = False) -> Path:
    """Does the work of `build` for any `sources` and any `toolchain`."""
    folder = library_folder(sources, toolchain=toolchain)

    def existing() -> Path | None:
        try:
            return None if force else cache.stored_library(folder)
        except NativeUnavailableError:
            return None

    if found := existing():
        return found
    try:
        cache.make_private_folder(folder)
        cache.refuse_shared(folder)
        with cache.build_lock(folder):
            # Another process may have built it while this one waited.
            return existing() or _compile_into(folder, sources, toolchain)
    except OSError as error:
        raise BuildError(
            f"The native kernel can't be stored in the cache folder {folder}: {error}. Make it writable (and not "
            "full), or set the environment variable XDG_CACHE_HOME to a folder that is."
        ) from error


def _compile_into(folder: Path, sources: Path, toolchain: Toolchain) -> Path:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as temporary:
        library, commands = compile_library(sources, Path(temporary), toolchain=toolchain)
        seconds = round(time.perf_counter() - start, 1)
        record = {"tensorflow": toolchain.version, "seconds": seconds, "commands": commands}
        return cache.store_library(library, folder, record=record)


def library_folder(sources: Path, *, toolchain: Toolchain) -> Path:
    """The cache folder of a library, which differs wherever the library would.

    Its name holds the architecture, TensorFlow's version, and a digest of the sources, the instruction sets
    and flags, and TensorFlow's revision and C++ ABI. Paths are left out: environments share a library.
    """
    if os.name != "posix":
        raise NativeUnavailableError("The native kernel is for Linux and macOS; here the portable kernel is used.")
    abi = [flag for flag in toolchain.compile_flags if not flag.startswith("-I")]
    digest = hashlib.sha256(repr((platform.system(), toolchain.version, abi, COMMON_FLAGS, object_files())).encode())
    for path in sorted([*sources.glob("*.cc"), *sources.glob("*.h")]):
        digest.update(f"\n{path.name}\n".encode() + path.read_bytes())
    release = toolchain.version.split(" ")[0]
    return cache.cache_root() / f"{platform.machine()}-tensorflow-{release}-{digest.hexdigest()[:16]}"
