import json
import os

import pytest

from keras_gn.files import atomic_path
from zoo.files import write_json


def fail_half_way(target, write):
    with atomic_path(target) as temporary:
        write(temporary)
        raise RuntimeError


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError):
        fail_half_way(target, lambda path: path.write_text("half"))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    for content in ("old", "new"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(RuntimeError):
        fail_half_way(target, lambda path: (path / "half").mkdir(parents=True))
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    target, named = tmp_path / "folder", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: named.append((os.fstat(descriptor).st_size, target.exists())))
    with atomic_path(target) as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "one").write_text("1")
        (temporary / "two").write_text("22")
    assert sorted(named) == [(1, False), (2, False)]


def test_json_without_nan(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1.5}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"a": float("nan")})
    assert not (tmp_path / "b.json").exists()
