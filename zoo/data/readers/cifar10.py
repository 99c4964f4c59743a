"""Reads CIFAR-10 from whichever form is there: the official batches, or class folders of images."""

from pathlib import Path

from zoo.data.catalog import DatasetSpec
from zoo.data.readers import cifar10_batches, image_folder
from zoo.data.readers.decoded import decode_into_memory
from zoo.data.records import OnCorrupt, Records
from zoo.errors import UserError


def read(data_dir: Path, spec: DatasetSpec, *, on_corrupt: OnCorrupt) -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names, in the official order, which is the alphabet's, and the records, in memory."""
    batches = cifar10_batches.find(data_dir)
    if batches:
        return cifar10_batches.read(batches)
    if not image_folder.find_splits(data_dir):
        raise UserError(
            f"`data_dir` must hold CIFAR-10 in one of its forms. Received: data_dir={str(data_dir)!r}. "
            f"{spec.how_to_get}"
        )
    names, splits = image_folder.read(data_dir, spec, on_corrupt=on_corrupt)
    return names, {
        split: decode_into_memory(records, spec, description=f"Reading {spec.name} {split}")
        for split, records in splits.items()
    }
