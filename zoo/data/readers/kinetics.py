"""Reads Kinetics: lists of clips in its official columns, and clip files in any of the usual layouts."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.data import defects
from zoo.data.catalog import DatasetSpec
from zoo.data.defects import DefectReport
from zoo.data.readers.video_folder import VIDEOS
from zoo.data.records import OnCorrupt, Records
from zoo.errors import UserError

_COLUMNS = ("youtube_id", "time_start", "time_end")
# A split may go by several names: in a row of a list, as the list's name and as a folder.
_SPLITS = {"train": ("train",), "validation": ("val", "valid", "validate", "validation"), "test": ("test",)}
_SPLIT_IN_NAME = re.compile(r"(?<![a-z])(train|val|test)")


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        class_names: all labels of all lists, sorted: the usual order of the 400, 600 or 700 classes.
        splits: the clips whose files are there.
        report: what is wrong with the lists, above all clips whose files are absent.
    """

    class_names: tuple[str, ...]
    splits: dict[str, Records]
    report: DefectReport = field(default_factory=DefectReport)


def read(data_dir: Path, spec: DatasetSpec, *, on_corrupt: OnCorrupt) -> Found:
    """The clips that `annotations/*.csv`, or else `*.csv`, list, each in the split that its row, or the list, names.

    The file of a clip is called `<youtube_id>_<start>_<end>` with six digits each, or `<youtube_id>` alone where only
    one clip of that video is listed, and ends like a video. It may be anywhere in the split's folder (`train/`, `val/`
    or `validate/`, `test/`), which may be in `videos/` or `clips/`; without such a folder, anywhere in `videos/`,
    `clips/` or `data_dir`.

    A part of Kinetics' videos is no longer to be had: clips whose files are absent are left out whatever `on_corrupt`
    is, and reported.

    Raises:
        UserError: there is no list in that form, or none of its clips is there.
    """
    report = DefectReport()
    rows: list[_Row] = []
    seen: set[str] = set()
    for path in _lists(data_dir, spec):
        rows += _rows(path, report, seen)
    if not rows:
        raise UserError(
            f"Kinetics' lists must have clips with labels. Received: none in the lists of {data_dir}. {spec.how_to_get}"
        )
    class_names = tuple(sorted({row.label for row in rows}))
    clips_of = Counter(row.video for row in rows)
    splits = {}
    for split in _SPLITS:
        of_split = [row for row in rows if row.split == split]
        files = _files(_folder(data_dir, split)) if of_split else {}
        found = _found(of_split, files, clips_of, report)
        splits[split] = _records(found, class_names, on_corrupt)
    splits = {split: records for split, records in splits.items() if len(records)}
    if not splits:
        raise UserError(
            f"`data_dir` must hold the clips that its lists name. Received: none of {len(rows)}, of which the first is "
            f"{rows[0].stem}.mp4, is in {data_dir}. {spec.how_to_get}"
        )
    return Found(class_names, splits, report)


@dataclass(frozen=True)
class _Row:
    """A clip of a list: the name of its file, without an end, and which list it is of."""

    label: str
    stem: str
    video: str
    split: str
    file: str


def _lists(data_dir: Path, spec: DatasetSpec) -> list[Path]:
    """The lists, without other files of the same form."""
    for folder in (data_dir / "annotations", data_dir):
        paths = sorted(path for path in folder.glob("*.csv") if path.name[0] != "." and _is_list(path))
        if paths:
            return paths
    raise UserError(
        f"`data_dir` must hold lists of clips with the columns {', '.join(_COLUMNS)}. Received: "
        f"data_dir={str(data_dir)!r}, without such a list as annotations/*.csv or *.csv. {spec.how_to_get}"
    )


def _is_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return set(_COLUMNS) <= set(next(csv.reader(file), ()))


def _rows(path: Path, report: DefectReport, seen: set[str]) -> Iterator[_Row]:
    """The clips of a list that have what they need, without those in `seen`, to which they are added."""
    of_list = _SPLIT_IN_NAME.search(path.stem.lower())
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for entry in csv.DictReader(file):
            video, split = entry["youtube_id"], _split_named(entry.get("split") or (of_list[1] if of_list else "train"))
            try:
                start, end = (round(float(entry[column] or "")) for column in _COLUMNS[1:])
            except (ValueError, OverflowError):
                report.add(path.name, defects.NO_TIMES, video)
                continue
            stem = f"{video}_{start:06d}_{end:06d}"
            if not entry.get("label"):
                report.add(path.name, defects.NO_LABEL, stem)
            elif stem in seen:
                report.add(path.name, defects.CLIP_LISTED_TWICE, stem)
            elif split is not None:
                seen.add(stem)
                yield _Row(entry["label"], stem, video, split, path.name)


def _split_named(name: str) -> str | None:
    """The split that goes by `name`; None for others, as Kinetics' holdout."""
    return next((split for split, names in _SPLITS.items() if name.lower() in names), None)


def _found(
    rows: list[_Row], files: Mapping[str, str], clips_of: Mapping[str, int], report: DefectReport
) -> Iterator[tuple[str, str]]:
    """(label, path) of the clips whose files are there."""
    for row in rows:
        if row.stem in files:
            yield row.label, files[row.stem]
        elif row.video not in files:
            report.add(row.file, defects.ABSENT_CLIP, row.stem)
        elif clips_of[row.video] > 1:
            # Each would be the whole video, under several labels and in several splits.
            report.add(row.file, defects.CLIPS_OF_A_WHOLE_VIDEO, row.stem)
        else:
            yield row.label, files[row.video]


def _records(found: Iterable[tuple[str, str]], class_names: tuple[str, ...], on_corrupt: OnCorrupt) -> Records:
    label_of = {name: number for number, name in enumerate(class_names)}
    rows = [(label_of[label], path) for label, path in found]
    labels, paths = zip(*rows, strict=True) if rows else ((), ())
    return Records(np.array(labels, np.int32), paths=np.array(paths, object), on_corrupt=on_corrupt)


def _folder(data_dir: Path, split: str) -> Path:
    places = (data_dir, data_dir / "videos", data_dir / "clips")
    candidates = [place / name for name in _SPLITS[split] for place in places]
    return next((folder for folder in (*candidates, *places[1:]) if folder.is_dir()), data_dir)


def _files(folder: Path) -> Mapping[str, str]:
    """Name without an end -> path of every video in the folder and below, the first of several."""
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(filter(VIDEOS.matches, names)):
            found.setdefault(Path(name).stem, str(Path(parent, name)))
    return found
