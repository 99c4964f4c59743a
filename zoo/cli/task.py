"""From a configuration to its task."""

import dataclasses

import zoo
from zoo import data
from zoo.data.catalog import get_spec
from zoo.errors import unknown_name
from zoo.models.norms import parse_norm
from zoo.tasks import ImageClassification
from zoo.training.config import TrainConfig


def refuse_unknown_names(config: TrainConfig) -> None:
    """Refuses a model, norm or data set that doesn't exist, with the nearest ones that do."""
    if config.model not in zoo.list_models():
        raise unknown_name("model", config.model, zoo.list_models())
    parse_norm(config.norm)
    get_spec(config.dataset)


def load_dataset(config: TrainConfig) -> data.Dataset:
    """The data of `config`, to be prepared as it says."""
    dataset = data.load(
        config.dataset,
        data_dir=config.data_dir,
        seed=config.seed,
        validation_fraction=config.validation_fraction,
        on_corrupt=config.on_corrupt,
    )
    return dataclasses.replace(dataset, spec=prepared_spec(config))


def prepared_spec(config: TrainConfig) -> data.DatasetSpec:
    """How images are prepared for the model of `config`."""
    spec = get_spec(config.dataset)
    return spec if config.image_size is None else dataclasses.replace(spec, image_size=config.image_size)


def make_task(config: TrainConfig) -> ImageClassification:
    """Loads the data of `config` and joins it with its model."""
    return ImageClassification(
        dataset=load_dataset(config),
        model=config.model,
        norm=config.norm,
        initial_weights=config.initial_weights,
        label_smoothing=config.label_smoothing,
    )
