"""The records of a split, or an error that names the ones there are."""

from typing import Any

from zoo.data import Dataset, DetectionDataset
from zoo.errors import UserError


def records_of(dataset: Dataset | DetectionDataset, split: str) -> Any:
    """The records of `split`.

    Raises:
        UserError: the data doesn't have it.
    """
    if split not in dataset.splits:
        raise UserError(
            f"`split` must be one that the data has: {', '.join(dataset.splits)}. Received: "
            f"split={split!r} of {dataset.spec.name}. Give a --data-dir that holds it."
        )
    return dataset.splits[split]
