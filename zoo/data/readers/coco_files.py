"""Finds the annotation files and image folders of a data set in COCO's form."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UserError

# A split may go by several names, as a folder and in the name of a file.
SPLIT_NAMES = {"train": ("train",), "validation": ("val", "valid", "validation", "minival"), "test": ("test",)}
_PARTS = ("images", "annotations", "categories")


def find_annotations(data_dir: Path, *, how_to_get: str) -> dict[str, Path]:
    """split ("train", "validation", "test") -> its annotation file.

    Looked for, in this order: `annotations/instances_*.json`, `annotations/*.json`, `*.json`, and `*.json` in the
    folders `train/`, `val/` (or `valid/`, `validation/`) and `test/`. The name of the file, or else of such a folder,
    tells the split. A single file that doesn't tell is "train", as is `trainval`.

    Raises:
        UserError: there is none, one of several doesn't tell its split, or two have the same.
    """
    folders = [data_dir / name for names in SPLIT_NAMES.values() for name in names]
    places = [
        _json_files([data_dir / "annotations"], "instances_*.json"),
        _json_files([data_dir / "annotations"], "*.json"),
        _json_files([data_dir], "*.json"),
        _json_files(folders, "*.json"),
    ]
    files = next((found for found in places if found), [])
    if not files:
        raise UserError(
            f"`data_dir` must hold annotations in COCO's form. Received: data_dir={str(data_dir)!r}, without "
            f"annotations/*.json or *.json. {how_to_get}"
        )
    splits = {path: _split_of(path, data_dir) for path in files}
    if len(files) == 1:
        return {splits[files[0]] or "train": files[0]}
    unclear = [path for path, split in splits.items() if split is None]
    doubled = [path for path, split in splits.items() if list(splits.values()).count(split) > 1]
    if unclear or doubled:
        fault = "whose name tells no split" if unclear else "for the same split"
        raise UserError(
            "Of several annotation files each must be of another split. Received: "
            f"{', '.join(str(path) for path in unclear or doubled)}, {fault}. Name them instances_train.json, "
            "instances_val.json, instances_test.json, and move others away."
        )
    return {split: path for path, split in splits.items() if split}


def _json_files(folders: Iterable[Path], pattern: str) -> list[Path]:
    return sorted(path for folder in folders for path in folder.glob(pattern) if path.name[0] != ".")


def _split_of(path: Path, data_dir: Path) -> str | None:
    own_folder = [] if path.parent in (data_dir, data_dir / "annotations") else [path.parent.name]
    for text in [_bare_name(path), *own_folder]:
        found = re.search(r"(?<![a-z])(train|minival|val|test)", text.lower())
        if found:
            return next(split for split, names in SPLIT_NAMES.items() if found[1] in names)
    return None


def _bare_name(path: Path) -> str:
    return path.stem.removeprefix("instances_")


def find_images(data_dir: Path, annotations: Path, split: str, names: Sequence[str]) -> Path:
    """The folder of the images that an annotation file lists: the first of these that holds one of them.

    For annotations/instances_X.json of split S: `X/`, `images/X/`, `S/`, `images/S/` (S by any of its names),
    `images/`, the folder of the annotation file, `data_dir` itself.

    Args:
        data_dir: the data set's folder.
        annotations: the annotation file.
        split: of which it is.
        names: the "file_name" of each image.

    Raises:
        UserError: none of these folders holds any of the images.
    """
    subfolders = [_bare_name(annotations), *SPLIT_NAMES[split]]
    candidates = [data_dir / part / name for name in subfolders for part in ("", "images")]
    candidates += [data_dir / "images", annotations.parent, data_dir]
    folders = [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]
    for folder in folders:
        if any((folder / name).is_file() for name in names):
            return folder
    raise UserError(
        f"`data_dir` must hold the images that {annotations} lists. Received: none of its {len(names)} images, of "
        f"which the first is {names[0]}, is in {', '.join(map(str, folders))}. Put them into "
        f"{data_dir / _bare_name(annotations)} or {data_dir / 'images'}."
    )


def load_annotations(path: Path) -> dict[str, Any]:
    """The content of an annotation file: lists of "images", "annotations" and "categories".

    Raises:
        UserError: it isn't JSON, lacks one of the lists, or an image has no number or file name.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path, f"it can't be read ({error})") from error
    if not isinstance(content, dict):
        raise _damaged(path, "it holds no object")
    for part in _PARTS:
        entries = content.get(part)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise _damaged(path, f"it has no list of {part}")
        if part != "annotations" and not entries:
            raise _damaged(path, f"its list of {part} is empty")
        if part != "annotations" and not all(type(entry.get("id")) is int for entry in entries):
            raise _damaged(path, f"one of its {part} has no whole number as id")
    if not all(isinstance(image.get("file_name"), str) for image in content["images"]):
        raise _damaged(path, "one of its images has no file_name")
    return content


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"An annotation file must have COCO's form, lists of {', '.join(_PARTS)}. Received: {path}, and {reason}. "
        "See https://cocodataset.org/#format-data, and move other JSON files away."
    )
