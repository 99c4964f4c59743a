"""Compiles the sources of the native kernel with the user's C++ compiler."""

import logging
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from keras_gn.ops.native.errors import BuildError
from keras_gn.ops.native.toolchain_kernel import Toolchain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectFile:
    """One run of the compiler: `source` becomes the object file `name`.o."""

    name: str
    source: str
    flags: tuple[str, ...] = ()
    tensorflow: bool = False


# Errno and traps would keep the compiler from vectorising square roots and conditions. No flag lets it forget about
# NaN or reorder sums, but in the loops that say so themselves, by OpenMP's `simd` (which needs no library).
COMMON_FLAGS = ("-O3", "-fPIC", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")

# The arithmetic, loops.cc, is compiled once for each instruction set; the op picks one when it runs, by what
# the processor has. So a library is right on every machine of its architecture, unlike one of -march=native.
BASELINE = ObjectFile("loops_baseline", "loops.cc", ("-DKERAS_GN_LOOPS=baseline",))
AVX2 = ObjectFile("loops_avx2", "loops.cc", ("-DKERAS_GN_LOOPS=avx2", "-mavx2", "-mfma"))
AVX512_FLAGS = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512")
AVX512 = ObjectFile("loops_avx512", "loops.cc", ("-DKERAS_GN_LOOPS=avx512", *AVX512_FLAGS))

# The op comes first, since it takes longest.
OBJECT_FILES = {
    "x86_64": (
        ObjectFile("group_normalize", "group_normalize.cc", ("-DKERAS_GN_X86",), tensorflow=True),
        BASELINE,
        AVX2,
        AVX512,
    ),
}
OTHER_MACHINES = (ObjectFile("group_normalize", "group_normalize.cc", tensorflow=True), BASELINE)


def object_files() -> tuple[ObjectFile, ...]:
    """The object files that make the library of this machine's architecture."""
    return OBJECT_FILES.get(platform.machine(), OTHER_MACHINES)


def find_compiler() -> list[str]:
    """The command of the C++ compiler: the environment variable CXX, or the first of g++, c++, clang++.

    Raises:
        BuildError: If there is none.
    """
    chosen = os.environ.get("CXX", "").split()
    for name, *arguments in [chosen] if chosen else [["g++"], ["c++"], ["clang++"]]:
        if path := shutil.which(name):
            return [path, *arguments]
    if chosen:
        raise BuildError(
            f"The compiler that the environment variable CXX names was not found. Received: CXX={os.environ['CXX']!r}. "
            "Set it to a C++ compiler, or unset it to use g++, c++ or clang++."
        )
    raise BuildError(
        "No C++ compiler was found: there is no g++, c++ or clang++ on the PATH. Install one (Debian, Ubuntu: "
        "`apt-get install g++`; Fedora: `dnf install gcc-c++`; conda: `conda install gxx`), or set the environment "
        "variable CXX to yours."
    )


def compile_library(sources: Path, folder: Path, *, toolchain: Toolchain) -> tuple[Path, list[str]]:
    """Compiles the files in `sources` for `toolchain`; everything is written to `folder`.

    Returns:
        The shared library, and the commands that made it.

    Raises:
        BuildError: If there is no compiler, or if it fails.
    """
    compiler = find_compiler()
    library = folder / "library.so"
    logger.info(
        "Compiling the native group normalization for TensorFlow %s with %s; this takes up to a minute ...",
        toolchain.version.split(" ")[0],
        compiler[0],
    )
    compiles = []
    for item in object_files():
        flags = [*COMMON_FLAGS, *item.flags, *(toolchain.compile_flags if item.tensorflow else ())]
        paths = ["-c", str(sources / item.source), "-o", str(folder / f"{item.name}.o")]
        compiles.append([*compiler, *flags, *paths])
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for _ in pool.map(_run, compiles):
            pass  # iterating raises the first failure
    objects = [command[-1] for command in compiles]
    link = [*compiler, "-shared", *objects, *toolchain.link_flags, "-o", str(library)]
    _run(link)
    return library, [shlex.join(command) for command in [*compiles, link]]


def _run(command: list[str]) -> None:
    # In English, so that errors can be told from warnings.
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise BuildError(f"The compiler can't be run: {error}. Set the environment variable CXX to another.") from error
    if done.returncode != 0:
        raise BuildError(
            f"The C++ compiler failed (exit status {done.returncode}):\n"
            + "".join(f"  {line}\n" for line in _first_errors(done.stderr.splitlines()))
            + f"The command was: {shlex.join(command)}\n"
            "The compiler must know C++17; the environment variable CXX chooses another."
        )


def _first_errors(lines: Iterable[str]) -> list[str]:
    """The first errors among the lines of a compiler, or its last words where none is marked as one.

    >>> _first_errors(["In file a:", "a:1: warning: old", "a:2:3: error: no such name"])
    ['a:2:3: error: no such name']
    """
    lines = list(lines)
    return [line for line in lines if "error:" in line][:5] or lines[-5:]
