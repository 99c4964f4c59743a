"""Reads trees of images, or of other files, with one folder a class, divided into splits or not."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.catalog import DatasetSpec
from zoo.data.records import OnCorrupt, Records
from zoo.data.split import split_off
from zoo.errors import UserError


@dataclass(frozen=True)
class FileKind:
    """Files of one kind: what they are called, in the plural, and how their names end."""

    name: str
    suffixes: tuple[str, ...]

    def matches(self, name: str) -> bool:
        """Whether a file called `name` is of the kind; a hidden one isn't."""
        return name[0] != "." and name.lower().endswith(self.suffixes)


IMAGES = FileKind("images", (".jpg", ".jpeg", ".png", ".bmp", ".gif"))
# A split may go by several names.
_SPLITS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
# Where a tree has no splits, the test records never change, or figures could not be compared.
_TEST_FRACTION, _TEST_SEED = 0.2, 0


def read(
    data_dir: Path, spec: DatasetSpec, *, on_corrupt: OnCorrupt, kind: FileKind = IMAGES
) -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names, sorted, and the records of `train/`, `val/` (or `validation/`) and `test/`, those that exist.

    A folder without these has its class folders directly; then a fifth of every class becomes the test split.
    Hidden files and folders, and files that are not named like those of the kind, are left alone.
    """
    folders = find_splits(data_dir)
    if not folders:
        names = class_folders(data_dir)
        records = list_files(data_dir, names, on_corrupt=on_corrupt, how_to_get=spec.how_to_get, kind=kind)
        train, test = split_off(records, _TEST_FRACTION, seed=_TEST_SEED)
        return names, {"train": train, "test": test}
    names = common_classes(folders, how_to_get=spec.how_to_get)
    return names, {
        split: list_files(folder, names, on_corrupt=on_corrupt, how_to_get=spec.how_to_get, kind=kind)
        for split, folder in folders.items()
    }


def find_splits(data_dir: Path) -> dict[str, Path]:
    """split -> its folder, of those that `data_dir` has."""
    return {
        split: data_dir / name for split, names in _SPLITS.items() for name in names[::-1] if (data_dir / name).is_dir()
    }


def class_folders(folder: Path) -> tuple[str, ...]:
    """The names of the folders in `folder`, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."))


def list_files(
    folder: Path, names: Sequence[str], *, on_corrupt: OnCorrupt, how_to_get: str, kind: FileKind = IMAGES
) -> Records:
    """The files in `folder`/name for each of `names`; the position of the name is the label.

    Raises:
        UserError: there is none.
    """
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        if (folder / name).is_dir():
            with os.scandir(folder / name) as entries:
                found = sorted(entry.path for entry in entries if kind.matches(entry.name))
            paths += found
            labels += [label] * len(found)
    if not paths:
        raise UserError(
            f"`data_dir` must lead to {kind.name} ({', '.join(kind.suffixes)}) in folders of classes. "
            f"Received: none in the {len(names)} folders of {folder}. {how_to_get}"
        )
    return Records(np.asarray(labels), paths=np.asarray(paths, object), on_corrupt=on_corrupt)


def common_classes(folders: Mapping[str, Path], *, how_to_get: str) -> tuple[str, ...]:
    """The names of the class folders, sorted, which must be the same in all of `folders` (split -> its folder).

    Raises:
        UserError: they aren't, or a split has none.
    """
    classes = {folder: set(class_folders(folder)) for folder in folders.values()}
    empty = [folder for folder, names in classes.items() if not names]
    if empty:
        raise UserError(
            f"Every split must have class folders. Received: {empty[0]} has none. Sort its files into class folders, "
            f"or move it away. {how_to_get}"
        )
    everywhere = set.intersection(*classes.values())
    odd = [
        f"{folder.name}/ alone has {enumerate_names(names - everywhere)}"
        if len(folders) == 2
        else f"{folder.name}/ has {enumerate_names(names - everywhere)}, which another split lacks"
        for folder, names in classes.items()
        if names - everywhere
    ]
    if odd:
        raise UserError(
            f"Every split must have the same class folders. Received: {'; '.join(odd)}. "
            "Rename or remove them, or add the missing ones (they may be empty)."
        )
    return tuple(sorted(everywhere))


def enumerate_names(names: Collection[str]) -> str:
    """The first five of `names` in their order, and how many more there are.

    >>> enumerate_names(["b", "a"]), enumerate_names("gfedcba")
    ('a, b', 'a, b, c, d, e and 2 others')
    """
    others = f" and {len(names) - 5} others" if len(names) > 5 else ""
    return ", ".join(sorted(names)[:5]) + others
