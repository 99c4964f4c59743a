"""Data sets by name through tensorflow-datasets: a real one, made small, and a download that fails."""

import time
from dataclasses import replace

import numpy as np
import pytest

from zoo.data import CATALOG, load
from zoo.data.readers import tensorflow_datasets as reader
from zoo.errors import UserError


def test_failed_download_says_how_to_get_the_data_and_does_not_hang(tmp_path, monkeypatch):
    # Nothing listens on port 9, so this also fails where there is a network.
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    start = time.monotonic()
    for name in ("cifar10", "fashion_mnist"):
        message = rf"The data set {name} can't be had through tensorflow-datasets \(.*\)\. To get it by hand .*Download"
        with pytest.raises(UserError, match=message):
            reader.read(CATALOG[name], tmp_path)
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_folder_of_that_name_without_a_prepared_data_set_is_for_the_reader(tmp_path, name):
    (tmp_path / name / "1.0.0").mkdir(parents=True)
    (tmp_path / name / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"`data_dir` must hold"):
        load(name, data_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1.0.0", name, "notes.txt"]


def pixels(split: str) -> np.ndarray:
    return np.random.default_rng(len(split)).integers(0, 256, [9, 28, 28, 1], dtype="uint8")


def test_prepared_data_set_is_read(tmp_path, monkeypatch):
    pytest.importorskip("importlib_resources", reason="tensorflow-datasets needs importlib_resources to prepare data")
    datasets = pytest.importorskip("tensorflow_datasets")

    class TinyClothes(datasets.core.GeneratorBasedBuilder):
        """Nine images a split."""

        VERSION = datasets.core.Version("1.0.0")
        pkg_dir_path = tmp_path

        def _info(self):
            features = datasets.features.FeaturesDict(
                {
                    "image": datasets.features.Image(shape=(28, 28, 1)),
                    "label": datasets.features.ClassLabel(names=["shoe", "hat", "coat"]),
                }
            )
            return datasets.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._generate_examples("train"), "test": self._generate_examples("test")}

        def _generate_examples(self, split):
            for index, image in enumerate(pixels(split)):
                yield index, {"image": image, "label": index % 3}

    monkeypatch.setitem(CATALOG, "fashion_mnist", replace(CATALOG["fashion_mnist"], tfds="tiny_clothes"))
    reader.read(CATALOG["fashion_mnist"], tmp_path)
    dataset = load("fashion_mnist", data_dir=tmp_path, validation_fraction=0)
    assert dataset.class_names == ("shoe", "hat", "coat")
    for split, records in dataset.splits.items():
        assert sorted(map(bytes, records.images)) == sorted(map(bytes, pixels(split)))
        for image, label in zip(records.images, records.labels, strict=True):
            assert [bytes(other) for other in pixels(split)].index(bytes(image)) % 3 == label
