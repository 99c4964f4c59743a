"""A run small enough for a test: SimpleNet on the digits at 8 pixels."""

import dataclasses

import pytest

from zoo import data
from zoo.tasks import ImageClassification
from zoo.training.config import TrainConfig


@pytest.fixture(scope="session")
def digits() -> data.Dataset:
    dataset = data.load("digits")
    splits = {name: records.take(range(min(len(records), 320))) for name, records in dataset.splits.items()}
    spec = dataclasses.replace(dataset.spec, image_size=8, augmentation="none")
    return dataclasses.replace(dataset, splits=splits, spec=spec)


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return TrainConfig(
        model="simplenet",
        norm="gn:groups=4",
        batch_size=32,
        epochs=3,
        learning_rate=0.02,
        learning_rate_batch=None,
        strategy="one",
    )


@pytest.fixture(scope="session")
def task(digits: data.Dataset, config: TrainConfig) -> ImageClassification:
    return ImageClassification(dataset=digits, model=config.model, norm=config.norm)
