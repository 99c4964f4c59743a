"""Several processes share the cache: they build at once, are killed, and read while another one writes."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from keras_gn.ops.native import NativeUnavailableError
from keras_gn.ops.native.library import build_library, find_library

from .conftest import answer

# Builds as often as there are compilers, and prints the path each time.
BUILDER = """
import logging, os, sys
from pathlib import Path
from keras_gn.ops.native.library import build_library
from keras_gn.ops.native.toolchain_kernel import Toolchain

logging.basicConfig(level=logging.INFO)
sources, version, ready, force, *compilers = sys.argv[1:]
toolchain = Toolchain(version=version, compile_flags=("-DABI=1",), link_flags=())
Path(ready).touch()
for compiler in compilers:
    os.environ["CXX"] = compiler
    print(build_library(Path(sources), toolchain=toolchain, force=force == "force"), flush=True)
"""


@contextmanager
def builder(sources, toolchain, *compilers, ready, force=False):
    """A process that builds, in a process group of its own; one that still runs ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUILDER, sources, toolchain.version, ready, "force" if force else "", *compilers],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(path, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} didn't come"
        time.sleep(0.01)


def test_two_builders_at_once(sources, toolchain, tmp_path, compiler_script):
    """One compiles; the other, which starts before that ends, waits for it and takes the same library."""
    ready = [tmp_path / "ready1", tmp_path / "ready2"]
    log = tmp_path / "log"
    compiler_script(
        f'echo "$@" >> {log}\n'
        f"until [ -e {ready[0]} ] && [ -e {ready[1]} ]; do sleep 0.05; done\n"
        'sleep 0.5\nexec g++ "$@"'
    )
    compiler = os.environ["CXX"]
    with (
        builder(sources, toolchain, compiler, ready=ready[0]) as first,
        builder(sources, toolchain, compiler, ready=ready[1]) as second,
    ):
        (path1, log1), (path2, log2) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), log1 + log2
    library = find_library(sources, toolchain=toolchain)
    assert path1.strip() == path2.strip() == str(library)
    assert answer(library) == 42
    assert (log1 + log2).count("Waiting for another process") == 1
    links = re.findall("-shared", log.read_text())
    assert len(links) == 1


def test_a_killed_build_leaves_the_cache_usable(sources, toolchain, tmp_path, cache_home, compiler_script, monkeypatch):
    started = tmp_path / "started"
    compiler_script(f"touch {started}\nexec sleep 60")
    with builder(sources, toolchain, os.environ["CXX"], ready=tmp_path / "ready") as process:
        wait_for(started)
        process.kill()
        process.wait()
        try:
            # Its compilers live on, write to a folder that nobody reads, and hold no lock.
            assert list(cache_home.rglob("building-*"))
            with pytest.raises(NativeUnavailableError, match="not built"):
                find_library(sources, toolchain=toolchain)
            monkeypatch.delenv("CXX")
            start = time.monotonic()
            assert answer(build_library(sources, toolchain=toolchain)) == 42
            assert time.monotonic() - start < 30
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_reader_never_sees_half(sources, toolchain, tmp_path):
    """While another process puts one library after another in its place."""
    earlier = build_library(sources, toolchain=toolchain)
    compilers = [f"g++ -DSTAMP={number}" for number in range(6)]
    seen: list[Path] = []
    with builder(sources, toolchain, *compilers, ready=tmp_path / "ready", force=True) as process:
        while process.poll() is None:
            seen.append(find_library(sources, toolchain=toolchain))
        paths, log = process.communicate()
    assert process.returncode == 0, log
    versions = [earlier, *map(Path, paths.split())]
    assert len(set(versions)) == 7
    assert seen == sorted(seen, key=versions.index)
    assert len(set(seen)) > 2
    assert [answer(version) for version in versions] == [42, 1, 2, 3, 4, 5, 6]
