"""Loads a data set by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.data.catalog import DatasetSpec, get_spec
from zoo.data.readers import cifar10, digits, fashion_mnist, image_folder, imagenet, tensorflow_datasets
from zoo.data.records import ON_CORRUPT, OnCorrupt, Records
from zoo.data.split import split_off
from zoo.errors import UserError, unknown_name

SPLITS = ("train", "validation", "test")

_READERS = {
    "cifar10": cifar10.read,
    "fashion_mnist": fashion_mnist.read,
    "imagenet2012": imagenet.read,
    "plant_seedlings": image_folder.read,
    "folder": image_folder.read,
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set that was found: its catalog entry, class names and records by split.

    Attributes:
        spec: how its images are prepared.
        class_names: the name of label i is `class_names[i]`.
        splits: "train", "validation" and "test", those that have records.
    """

    spec: DatasetSpec
    class_names: tuple[str, ...]
    splits: Mapping[str, Records]


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    validation_fraction: float | None = None,
    on_corrupt: OnCorrupt = "refuse",
) -> Dataset:
    """Finds the data set `name` and its records; images of large data sets stay in their files.

    Args:
        name: a name in the catalog (`list_datasets`).
        data_dir: where its files are, in one of the forms that the catalog's `how_to_get` tells. Without it, the data
            set must be digits or one that tensorflow-datasets has, which downloads it.
        seed: which training records become the validation split. The test records never depend on it.
        validation_fraction: part of every class of the training records that becomes the validation split, where there
            is none; the catalog's by default, and no split if 0.
        on_corrupt: what to do about an image that can't be decoded: "refuse" with an error that names it, or
            "skip". Files that are read during training are refused or left out then.

    Raises:
        UserError: an argument is wrong, or the data are missing, damaged, of fewer than two classes or not of a form
            that is known.

    >>> {split: len(records) for split, records in load("digits").splits.items()}
    {'train': 1295, 'validation': 143, 'test': 359}
    """
    spec = get_spec(name)
    if on_corrupt not in ON_CORRUPT:
        raise unknown_name("on_corrupt", on_corrupt, ON_CORRUPT)
    fraction = spec.validation_fraction if validation_fraction is None else validation_fraction
    if not 0 <= fraction < 1:
        raise UserError(f"`validation_fraction` must be in [0, 1). Received: validation_fraction={fraction}.")
    class_names, splits = _read(spec, data_dir, on_corrupt)
    if len(class_names) < 2:
        raise UserError(
            f"`data_dir` must hold at least 2 classes. Received: data_dir={str(data_dir)!r}, with "
            f"{', '.join(class_names)} alone. {spec.how_to_get}"
        )
    if fraction and "train" in splits and "validation" not in splits:
        train, validation = split_off(splits["train"], fraction, seed=seed)
        splits = {**splits, "train": train, "validation": validation}
    return Dataset(spec, class_names, {name: splits[name] for name in SPLITS if len(splits.get(name, ()))})


def _read(
    spec: DatasetSpec, data_dir: str | Path | None, on_corrupt: OnCorrupt
) -> tuple[tuple[str, ...], dict[str, Records]]:
    if data_dir is None:
        if spec.name == "digits":
            return digits.read()
        if spec.tfds:
            return tensorflow_datasets.read(spec)
        raise UserError(f"The data set {spec.name} needs `data_dir` (`--data-dir`). {spec.how_to_get}")
    if spec.name == "digits":
        raise UserError(
            f"The data set digits takes no `data_dir`. Received: data_dir={str(data_dir)!r}. {spec.how_to_get}"
        )
    folder = Path(data_dir).expanduser()
    if not folder.is_dir() or not any(folder.iterdir()):
        fault = "is empty" if folder.is_dir() else "is no folder"
        raise UserError(
            f"`data_dir` must be a folder that holds the data set {spec.name!r}. Received: data_dir={str(data_dir)!r}, "
            f"which {fault}. {spec.how_to_get}"
        )
    # A folder of that name may hold anything; tensorflow-datasets would download into it what it doesn't find.
    if spec.tfds and any((folder / spec.tfds).rglob("dataset_info.json")):
        return tensorflow_datasets.read(spec, folder)
    return _READERS[spec.name](folder, spec, on_corrupt=on_corrupt)
