"""A library of plain C functions stands for the native kernel: it compiles in a moment and needs no TensorFlow."""

import ctypes

import pytest

from keras_gn.ops.native import BuildError
from keras_gn.ops.native.compiler import find_compiler
from keras_gn.ops.native.toolchain_kernel import Toolchain


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    """The folder that XDG_CACHE_HOME names; the user's own cache is left alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def toolchain():
    return Toolchain(version="2.99.0 v2.99.0-0-g0000000", compile_flags=("-DABI=1",), link_flags=())


@pytest.fixture
def sources(tmp_path, cache_home, monkeypatch):
    """A folder of sources: `answer()` is ABI + STAMP, and each instruction set has a function of its name."""
    monkeypatch.delenv("CXX", raising=False)
    try:
        find_compiler()
    except BuildError as error:
        pytest.skip(str(error))
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "stamp.h").write_text("#ifndef STAMP\n#define STAMP 41\n#endif\n")
    code = '#include "stamp.h"\nextern "C" int answer() { return ABI + STAMP; }\n'
    (folder / "group_normalize.cc").write_text(code)
    (folder / "loops.cc").write_text('extern "C" int KERAS_GN_LOOPS() { return 1; }\n')
    return folder


@pytest.fixture
def compiler_script(tmp_path, monkeypatch):
    """Makes a shell script the compiler: `compiler_script(lines)`; "$@" are the arguments of g++."""

    def make(lines):
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    return make


def answer(library):
    """Calls a function of the library."""
    return ctypes.CDLL(str(library)).answer()
