"""A library is loaded only if it is whole and if nobody else could have written it."""

import os
from pathlib import Path

import pytest

from keras_gn.ops.native import NativeUnavailableError
from keras_gn.ops.native.library import build_library, find_library

from .conftest import answer

ANOTHER_USER = 12345


def truncate(library):
    os.truncate(library, library.stat().st_size // 2)


def alter(library):
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    library.write_bytes(content)


def replace_by_a_link(library):
    moved = library.rename(library.with_name("moved.so"))
    library.symlink_to(moved)


def open_to_others(library):
    library.chmod(0o666)


def give_away(library):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(library, ANOTHER_USER, ANOTHER_USER)


def record_of(library):
    return library.with_name("build.json")


DAMAGES = {
    "truncated": (truncate, "is damaged:"),
    "altered": (alter, "is damaged:"),
    "lost": (lambda library: library.unlink(), "is damaged:"),
    "a link": (replace_by_a_link, "is damaged:"),
    "writable by others": (open_to_others, "is not safe: others"),
    "of another user": (give_away, "is not safe: others"),
    # What is left of a build that was killed between its two last steps.
    "without a record": (lambda library: record_of(library).unlink(), "is not built for"),
    "record truncated": (lambda library: truncate(record_of(library)), "can't be read"),
    "record without digest": (lambda library: record_of(library).write_text("{}"), "can't be read"),
    "record of another form": (lambda library: record_of(library).write_text("[]"), "can't be read"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_library_is_found_and_replaced(sources, toolchain, damage, reason):
    damage(build_library(sources, toolchain=toolchain))
    with pytest.raises(NativeUnavailableError, match=f"{reason}.*keras_gn.ops.native build"):
        find_library(sources, toolchain=toolchain)
    library = build_library(sources, toolchain=toolchain)
    assert find_library(sources, toolchain=toolchain) == library
    assert answer(library) == 42


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
@pytest.mark.parametrize("above", range(4))
def test_a_folder_that_others_can_write_to_is_refused(sources, toolchain, mode, above):
    folder = build_library(sources, toolchain=toolchain).parents[above]
    folder.chmod(mode)
    for act in (find_library, build_library):
        with pytest.raises(NativeUnavailableError, match=f"others can write to {folder}.*chmod go-w {folder}.*XDG"):
            act(sources, toolchain=toolchain)


def test_a_sticky_folder_is_safe_above_the_library_and_not_around_it(sources, toolchain):
    library = build_library(sources, toolchain=toolchain)
    library.parents[1].chmod(0o1777)
    assert find_library(sources, toolchain=toolchain) == library
    library.parent.chmod(0o1777)
    with pytest.raises(NativeUnavailableError, match=f"others can write to {library.parent}"):
        find_library(sources, toolchain=toolchain)


@pytest.mark.parametrize("above", range(4))
def test_the_folder_of_another_user_is_refused(sources, toolchain, above):
    folder = build_library(sources, toolchain=toolchain).parents[above]
    give_away(folder)
    for act in (find_library, build_library):
        with pytest.raises(NativeUnavailableError, match=f"{folder} belongs to another user.*XDG_CACHE_HOME"):
            act(sources, toolchain=toolchain)


def test_a_link_in_place_of_the_folder_is_refused(sources, toolchain, tmp_path):
    folder = build_library(sources, toolchain=toolchain).parent
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    for act in (find_library, build_library):
        with pytest.raises(NativeUnavailableError, match=f"{folder} is not a folder"):
            act(sources, toolchain=toolchain)


def test_what_a_link_to_the_cache_leads_to_is_checked(sources, toolchain, tmp_path, monkeypatch):
    """Home folders on clusters have links to a larger disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "link").symlink_to(disk)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    library = build_library(sources, toolchain=toolchain)
    assert library.is_relative_to(disk)
    disk.chmod(0o777)
    with pytest.raises(NativeUnavailableError, match=f"others can write to {disk}"):
        find_library(sources, toolchain=toolchain)


@pytest.mark.parametrize("value", ["", "relative/cache", None])
def test_the_cache_is_in_the_home_folder_by_default(sources, toolchain, tmp_path, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    library = build_library(sources, toolchain=toolchain)
    assert library.is_relative_to(tmp_path / "home" / ".cache" / "keras_gn" / "native")


def test_links_that_go_in_a_circle(sources, toolchain, tmp_path, monkeypatch):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "circle"))
    for act in (find_library, build_library):
        with pytest.raises(NativeUnavailableError, match=r"XDG_CACHE_HOME|native build"):
            act(sources, toolchain=toolchain)


def test_the_sources_ship_with_the_package():
    """Without this line of setup.cfg an installed package has nothing to compile."""
    setuptools = pytest.importorskip("setuptools")
    root = Path(__file__).parents[3]
    package_data = setuptools.config.setupcfg.read_configuration(root / "setup.cfg")["options"]["package_data"]
    folder = root / "keras_gn" / "ops" / "native"
    shipped = {path for pattern in package_data["keras_gn.ops.native"] for path in folder.glob(pattern)}
    assert shipped == {path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
