"""Loading a library into TensorFlow, and the command line."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_gn.ops.native as native
from keras_gn.ops.native import NativeUnavailableError, library
from keras_gn.ops.native.__main__ import main
from keras_gn.ops.native.toolchain_kernel import load_op_library, tensorflow_toolchain

ROOT = Path(__file__).parents[3]


@pytest.fixture
def real_op(sources, monkeypatch):
    """An op of TensorFlow in place of the native kernel, which takes far longer to compile."""
    pytest.importorskip("tensorflow")
    code = '#include "tensorflow/core/framework/op.h"\nREGISTER_OP("KerasGnProbe").Output("y: float");\n'
    (sources / "group_normalize.cc").write_text(code)
    monkeypatch.setattr(library, "SOURCES", sources)
    native.load.cache_clear()
    yield
    native.load.cache_clear()


@pytest.fixture
def command_line(monkeypatch, capsys):
    """Runs the command line in this process: `command_line("build")` -> (exit status, stdout, stderr)."""
    logger = logging.getLogger("keras_gn")
    level = logger.level

    def run(*arguments):
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(sys, "argv", ["native", *arguments])
        status = main()
        return status, *capsys.readouterr()

    yield run
    logger.setLevel(level)


def test_build_then_load(real_op, command_line):
    with pytest.raises(NativeUnavailableError, match="not built"):
        native.load()
    assert command_line("status")[0] == 1

    status, output, errors = command_line("build")
    assert (status, errors) == (0, "")
    first, last = output.splitlines()
    assert first.startswith("Compiling the native group normalization for TensorFlow 2.")
    assert last.startswith("The native group normalization is ready (")
    assert last.endswith(f" s): {native.build()}")

    module = native.load()
    assert hasattr(module, "keras_gn_probe")
    assert native.load() is module
    assert command_line("build")[1].startswith("The native group normalization is ready (0.")
    assert command_line("status")[0] == 0


def test_a_library_that_the_loader_refuses(sources, toolchain):
    pytest.importorskip("tensorflow")
    code = 'extern "C" int missing();\nextern "C" int answer() { return missing(); }\n'
    (sources / "group_normalize.cc").write_text(code)
    path = library.build_library(sources, toolchain=toolchain)
    with pytest.raises(NativeUnavailableError, match=r"can't be loaded: .*missing.*build --force"):
        load_op_library(path)


def test_without_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(NativeUnavailableError, match="Install tensorflow"):
        tensorflow_toolchain()


def run_python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_fails_with_a_sentence(cache_home):
    pytest.importorskip("tensorflow")
    done = run_python("-m", "keras_gn.ops.native", "build", CXX="no-such-compiler", KERAS_BACKEND="numpy")
    assert done.returncode == 1
    assert "error: The compiler that the environment variable CXX names was not found" in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_it_leaves_tensorflow_out():
    code = "import sys, keras_gn.ops.native; assert 'tensorflow' not in sys.modules"
    done = run_python("-c", code, KERAS_BACKEND="numpy")
    assert done.returncode == 0, done.stderr
