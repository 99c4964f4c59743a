"""Reads scikit-learn's handwritten digits, which come with the package."""

import numpy as np

from zoo.data.records import Records
from zoo.data.split import split_off

CLASS_NAMES = tuple("0123456789")
# There is no official split, so this one is the project's: it never changes, or figures could not be compared.
_TEST_FRACTION, _TEST_SEED = 0.2, 0


def read() -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names and the train and test records.

    The published values v are 0 to 16; the pixel is round(v * 255 / 16), from which v comes back as
    round(pixel * 16 / 255).

    >>> names, splits = read()
    >>> len(names), {split: len(records) for split, records in splits.items()}
    (10, {'train': 1438, 'test': 359})
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype("uint8")[..., np.newaxis]
    train, test = split_off(Records(digits.target, images), _TEST_FRACTION, seed=_TEST_SEED)
    return CLASS_NAMES, {"train": train, "test": test}
