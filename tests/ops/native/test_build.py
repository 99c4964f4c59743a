"""Building the native kernel's library: what comes out, when it is compiled again, and how it fails."""

import ctypes
import os
import platform
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from keras_gn.ops.native import BuildError, NativeUnavailableError
from keras_gn.ops.native.library import build_library, find_library

from .conftest import answer


def test_the_library_runs_and_has_every_instruction_set(sources, toolchain):
    library = build_library(sources, toolchain=toolchain)
    assert answer(library) == 42
    names = ["baseline", "avx2", "avx512"] if platform.machine() == "x86_64" else ["baseline"]
    for name in names:
        assert getattr(ctypes.CDLL(str(library)), name)() == 1
    assert find_library(sources, toolchain=toolchain) == library


def test_only_the_user_can_write_to_what_was_built(sources, toolchain, cache_home):
    earlier = os.umask(0)
    try:
        library = build_library(sources, toolchain=toolchain)
    finally:
        os.umask(earlier)
    assert stat.S_IMODE(library.stat().st_mode) == 0o600
    folders = [folder for folder in library.parents if folder.is_relative_to(cache_home)]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 4
    assert sorted(path.name for path in library.parent.iterdir()) == ["build.json", library.name, "lock"]


def test_a_second_build_compiles_and_writes_nothing(sources, toolchain, monkeypatch):
    """So it works where the cache was filled first and is read-only now."""
    library = build_library(sources, toolchain=toolchain)
    (library.parent / "lock").unlink()
    monkeypatch.setenv("CXX", "no-such-compiler")

    def times_of_change():
        return {path: path.stat().st_mtime_ns for path in (library.parent, *library.parent.iterdir())}

    before = times_of_change()
    assert build_library(sources, toolchain=toolchain) == library
    assert times_of_change() == before


def test_force_compiles_again_with_the_compiler_and_arguments_of_cxx(sources, toolchain, monkeypatch):
    first = build_library(sources, toolchain=toolchain)
    monkeypatch.setenv("CXX", "c++ -DSTAMP=6")
    second = build_library(sources, toolchain=toolchain, force=True)
    assert (answer(first), answer(second)) == (42, 7)
    assert find_library(sources, toolchain=toolchain) == second


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2.98.0 v2.99.0-0-g0000000"},
        {"version": "2.99.0 v2.99.0-1-g1111111"},
        {"compile_flags": ("-DABI=0",)},
    ],
    ids=["release", "revision", "abi"],
)
def test_the_library_of_another_tensorflow_is_not_used(sources, toolchain, change):
    ours = build_library(sources, toolchain=toolchain)
    other = replace(toolchain, **change)
    with pytest.raises(NativeUnavailableError, match=r"not built for this TensorFlow.*keras_gn\.ops\.native build"):
        find_library(sources, toolchain=other)
    theirs = build_library(sources, toolchain=other)
    assert theirs.parent != ours.parent
    assert find_library(sources, toolchain=toolchain) == ours


@pytest.mark.parametrize("name", ["stamp.h", "loops.cc"])
def test_changed_sources_are_compiled_again(sources, toolchain, name):
    build_library(sources, toolchain=toolchain)
    (sources / name).write_text((sources / name).read_text() + "\n")
    with pytest.raises(NativeUnavailableError, match="not built"):
        find_library(sources, toolchain=toolchain)


def test_environments_with_the_same_tensorflow_share_a_library(sources, toolchain):
    here = replace(toolchain, compile_flags=("-I/here/include", *toolchain.compile_flags), link_flags=("-L/here",))
    there = replace(toolchain, compile_flags=("-I/there/include", *toolchain.compile_flags), link_flags=("-L/there",))
    assert build_library(sources, toolchain=here) == find_library(sources, toolchain=there)


def test_no_compiler(sources, toolchain, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match=r"No C\+\+ compiler.*apt-get install g\+\+.*CXX"):
        build_library(sources, toolchain=toolchain)


def test_cxx_names_no_compiler(sources, toolchain, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -m64")
    with pytest.raises(BuildError, match=r"CXX='no-such-compiler -m64'.*unset it"):
        build_library(sources, toolchain=toolchain)


def test_a_compiler_that_cannot_run(sources, toolchain, tmp_path, monkeypatch):
    broken = tmp_path / "compiler"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(BuildError, match=r"can't be run: .*Exec format error.*CXX"):
        build_library(sources, toolchain=toolchain)


def test_a_compile_error_shows_the_first_errors_and_the_command(sources, toolchain, cache_home):
    (sources / "loops.cc").write_text("#warning old\n" + "".join(f"int x{n} = missing{n};\n" for n in range(9)))
    with pytest.raises(BuildError) as caught:
        build_library(sources, toolchain=toolchain)
    lines = str(caught.value).splitlines()
    errors = [line for line in lines if "missing" in line]
    assert len(errors) == 5
    assert re.search(r"loops\.cc:2:.*error:.*missing0", errors[0])
    assert "old" not in str(caught.value)
    assert re.search(r"command was: .*g\+\+ .*-O3 .*loops\.cc", lines[-2])
    with pytest.raises(NativeUnavailableError, match="not built"):
        find_library(sources, toolchain=toolchain)
    assert not list(cache_home.rglob("building-*"))


def test_a_link_error_is_a_build_error(sources, toolchain):
    with pytest.raises(BuildError, match="no-such-library"):
        build_library(sources, toolchain=replace(toolchain, link_flags=("-lno-such-library",)))


@pytest.fixture(params=["below a file", "kernel's own", "mode 0500"])
def read_only_folder(request, tmp_path):
    """Folders that nobody can write to; a file's mode doesn't stop root, the first two do."""
    if request.param == "below a file":
        (tmp_path / "file").touch()
        return tmp_path / "file" / "cache"
    if request.param == "kernel's own":
        if not Path("/sys/kernel").is_dir():
            pytest.skip("no /sys")
        return Path("/sys/kernel")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("root can write to any folder")
    return folder


def test_read_only_cache(sources, toolchain, read_only_folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only_folder))
    with pytest.raises(BuildError, match=rf"cache folder {read_only_folder}/keras_gn/native/.*XDG_CACHE_HOME"):
        build_library(sources, toolchain=toolchain)
    with pytest.raises(NativeUnavailableError, match=rf"{read_only_folder}.*keras_gn\.ops\.native build"):
        find_library(sources, toolchain=toolchain)
