"""Loads a data set by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.data.catalog import DatasetSpec, get_spec
from zoo.data.loading import check_classes, checked_fraction, find_folder
from zoo.data.readers import cifar10, digits, fashion_mnist, image_folder, imagenet, tensorflow_datasets
from zoo.data.records import OnCorrupt, Records
from zoo.data.split import with_validation
from zoo.errors import UserError

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
    fraction = checked_fraction(spec, validation_fraction, on_corrupt=on_corrupt)
    class_names, splits = _read(spec, data_dir, on_corrupt)
    check_classes(spec, class_names, data_dir)
    splits = with_validation(splits, fraction, seed=seed)
    return Dataset(spec, class_names, {name: splits[name] for name in SPLITS if len(splits.get(name, ()))})


def _read(
    spec: DatasetSpec, data_dir: str | Path | None, on_corrupt: OnCorrupt
) -> tuple[tuple[str, ...], dict[str, Records]]:
    if spec.name == "digits":
        if data_dir is None:
            return digits.read()
        raise UserError(
            f"The data set digits takes no `data_dir`. Received: data_dir={str(data_dir)!r}. {spec.how_to_get}"
        )
    if data_dir is None and spec.tfds:
        return tensorflow_datasets.read(spec)
    folder = find_folder(spec, data_dir)
    # A folder of that name may hold anything; tensorflow-datasets would download into it what it doesn't find.
    if spec.tfds and any((folder / spec.tfds).rglob("dataset_info.json")):
        return tensorflow_datasets.read(spec, folder)
    return _READERS[spec.name](folder, spec, on_corrupt=on_corrupt)
