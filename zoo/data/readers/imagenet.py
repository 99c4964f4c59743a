"""Reads ImageNet (ILSVRC 2012) from folders named by WordNet ids."""

from pathlib import Path

from zoo.data.catalog import DatasetSpec
from zoo.data.readers.image_folder import common_classes, enumerate_names, find_splits, list_files
from zoo.data.records import OnCorrupt, Records
from zoo.errors import UserError

SYNSETS = "synset_words.txt"


def read(data_dir: Path, spec: DatasetSpec, *, on_corrupt: OnCorrupt) -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names and the records of `train/<wnid>/` and `val/<wnid>/`, whichever exist, with the same ids.

    Labels number the WordNet ids in sorted order, the usual order of the 1,000 classes: all that synset_words.txt
    lists, also those without a folder, or, without that file, the folders. `val/` is the test split, since its images
    are the ones that published figures are measured on.
    """
    folders = {
        {"train": "train", "validation": "test"}[split]: folder
        for split, folder in find_splits(data_dir).items()
        if split != "test"  # The official test images have no labels.
    }
    if not folders:
        raise UserError(f"`data_dir` must hold train/ or val/. Received: data_dir={str(data_dir)!r}. {spec.how_to_get}")
    found = common_classes(folders, how_to_get=spec.how_to_get)
    names = _synsets(data_dir / SYNSETS) or {wnid: wnid for wnid in found}
    unknown = [wnid for wnid in found if wnid not in names]
    if unknown:
        raise UserError(
            f"Every folder of a class must be named as in {SYNSETS}. Received: {enumerate_names(unknown)}. "
            f"Rename or remove them, or add them to {SYNSETS}."
        )
    splits = {
        split: list_files(folder, sorted(names), on_corrupt=on_corrupt, how_to_get=spec.how_to_get)
        for split, folder in folders.items()
    }
    return tuple(names[wnid] for wnid in sorted(names)), splits


def _synsets(path: Path) -> dict[str, str]:
    """WordNet id -> name, from lines such as `n01440764 tench, Tinca tinca`; empty without such a file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {wnid: name.strip() for wnid, _, name in (line.partition(" ") for line in lines if line.strip())}
