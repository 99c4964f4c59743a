"""The catalog is complete and consistent, and the schema tells what is wrong."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import CATALOG, Dataset, list_datasets, load, schema
from zoo.data.augmentations import AUGMENTATIONS
from zoo.data.readers.digits import read as read_digits
from zoo.errors import UserError


@pytest.mark.parametrize("name", list_datasets())
def test_spec_is_complete(name):
    spec = CATALOG[name]
    assert spec.name == name
    assert spec.channels in (1, 3)
    assert len(spec.mean) == len(spec.std) == spec.channels
    assert all(0 < value < 1 for value in (*spec.mean, *spec.std))
    assert spec.augmentation in AUGMENTATIONS
    assert 0 < spec.validation_fraction < 1
    assert spec.resize_ratio >= 1
    assert spec.how_to_get
    assert spec.description
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.image_size = 3


@pytest.mark.parametrize(
    ("name", "folder"), [("digits", None), ("fashion_mnist", "fashion_mnist"), ("cifar10", "cifar10")]
)
def test_mean_and_std_are_those_of_the_training_pixels(name, folder, request):
    data_dir = request.getfixturevalue("shared_data") / folder if folder else None
    dataset = load(name, data_dir=data_dir)
    pixels = dataset.splits["train"].images / 255
    # The shared CIFAR-10 has 4,000 of the 50,000 images that the published figures are of.
    tolerance = 0.01 if name == "cifar10" else 0.003
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), dataset.spec.mean, atol=tolerance)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), dataset.spec.std, atol=tolerance)


def test_imagenet_tells_that_only_a_folder_will_do():
    assert CATALOG["imagenet2012"].tfds is None
    with pytest.raises(UserError, match=r"needs `data_dir` .*A store of tensorflow-datasets isn't read"):
        load("imagenet2012")


def test_unknown_data_set_offers_the_nearest_name():
    with pytest.raises(UserError, match=r"`dataset` must be one of .*Did you mean cifar10\?"):
        load("cifar")


def test_tfds_names_exist():
    datasets = pytest.importorskip("tensorflow_datasets")
    assert {spec.tfds for spec in CATALOG.values() if spec.tfds} <= set(datasets.list_builders())


def good_batch():
    return {"image": np.zeros([4, 8, 8, 1], "float32"), "label": np.zeros([4], "int32")}


def test_schema_takes_arrays_tensors_and_specs():
    schema.check(good_batch(), schema.BATCH)
    schema.check(tuple(map(tf.constant, good_batch().values())), schema.BATCH)
    schema.check((tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None], tf.int32)), schema.BATCH)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros([4, 8, 8, 1])}, r"`image` must be float32 \[\?, .*Received: image=float64 \[4, 8, 8, 1\]"),
        ({"label": np.zeros([4, 1], "int32")}, r"`label` must be int32 \[\?\].*Received: label=int32 \[4, 1\]"),
        ({"labels": 0}, r"must have the keys \['image', 'label'\]. Received: \['image', 'label', 'labels'\]"),
    ],
)
def test_schema_names_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        schema.check({**good_batch(), **change}, schema.BATCH)


def test_schema_counts_values():
    with pytest.raises(ValueError, match=re.escape("`values` must be (image, label). Received: 1 values.")):
        schema.check((np.zeros(3),), schema.BATCH)


def test_digits_pixels_can_be_inverted():
    from sklearn.datasets import load_digits

    published = load_digits()
    _, splits = read_digits()
    values = np.concatenate([np.round(records.images[..., 0] * (16 / 255)) for records in splits.values()])
    assert sorted(map(bytes, values.astype("uint8"))) == sorted(map(bytes, published.images.astype("uint8")))
    assert splits["train"].images.max() == 255


def test_digits_has_no_data_dir(tmp_path):
    with pytest.raises(UserError, match=r"digits takes no `data_dir`"):
        load("digits", data_dir=tmp_path)


def ids(dataset: Dataset, split: str) -> set[bytes]:
    return set(map(bytes, dataset.splits[split].images))


def test_test_split_is_the_same_for_every_seed_and_validation_is_not():
    first, again, other = load("digits", seed=0), load("digits", seed=0), load("digits", seed=1)
    assert ids(first, "test") == ids(other, "test")
    assert ids(first, "validation") == ids(again, "validation") != ids(other, "validation")


def test_splits_are_disjoint_and_stratified():
    dataset = load("digits")
    # Two of the 1,797 images are the same as another one, so these are counted, not compared.
    assert sum(map(len, dataset.splits.values())) == 1797
    shares = np.stack([np.bincount(records.labels, minlength=10) / len(records) for records in dataset.splits.values()])
    assert np.ptp(shares, axis=0).max() < 0.01


def test_validation_fraction():
    assert "validation" not in load("digits", validation_fraction=0).splits
    assert len(load("digits", validation_fraction=0.5).splits["validation"]) == pytest.approx(719, abs=5)
    with pytest.raises(UserError, match=r"`validation_fraction` must be in \[0, 1\). Received: validation_fraction=1"):
        load("digits", validation_fraction=1)


def test_on_corrupt_must_be_known():
    with pytest.raises(UserError, match=r"`on_corrupt` must be one of refuse, skip\. Received: on_corrupt='skp'"):
        load("digits", on_corrupt="skp")
