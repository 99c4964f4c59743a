"""From a configuration to its task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import zoo
from zoo.data import (
    CATALOG,
    DETECTION_CATALOG,
    Dataset,
    DatasetSpec,
    DetectionDataset,
    DetectionSpec,
    load,
    load_detection,
)
from zoo.data.augmentations import AUGMENTATIONS
from zoo.data.dataset import SPLITS
from zoo.data.detection_augmentations import AUGMENTATIONS as DETECTION_AUGMENTATIONS
from zoo.errors import UserError, unknown_name
from zoo.models.build import check_options
from zoo.models.norms import parse_norm
from zoo.tasks import Detection, ImageClassification, Task
from zoo.training.config import TrainConfig

AnyDataset = Dataset | DetectionDataset


def task_name(config: TrainConfig) -> str:
    """The task that the data set of `config` is for; a data set that doesn't exist is an error with the nearest."""
    if config.dataset in DETECTION_CATALOG:
        return "detection"
    if config.dataset in CATALOG:
        return "image_classification"
    raise unknown_name("dataset", config.dataset, [*CATALOG, *DETECTION_CATALOG])


def refuse_unknown_names(config: TrainConfig) -> None:
    """Refuses a model, norm or data set that doesn't exist, with the nearest ones, or that don't fit each other."""
    task = task_name(config)
    of_task = zoo.list_models(task)
    if config.model not in of_task:
        others = {name for known in zoo.TASKS for name in zoo.list_models(known)}
        if config.model not in others:
            raise unknown_name("model", config.model, others)
        raise UserError(
            f"`model` must be one for {task.replace('_', ' ')} with the data set {config.dataset}: "
            f"{', '.join(of_task)}. Received: model={config.model!r}. Choose one of these, or another --dataset."
        )
    parse_norm(config.norm)
    check_options(config.model, config.model_options)
    augmentations = DETECTION_AUGMENTATIONS if task == "detection" else AUGMENTATIONS
    if task == "detection" and config.label_smoothing:
        raise UserError(
            "`label_smoothing` is for classification; a detector's losses have none. "
            f"Received: label_smoothing={config.label_smoothing}. Leave it out."
        )
    if config.augmentation is not None and config.augmentation not in augmentations:
        raise unknown_name("augmentation", config.augmentation, augmentations)


def load_dataset(config: TrainConfig) -> AnyDataset:
    """The data of `config`, to be prepared as it says."""
    load_it = load_detection if task_name(config) == "detection" else load
    dataset = load_it(
        config.dataset,
        data_dir=config.data_dir,
        seed=config.seed,
        validation_fraction=config.validation_fraction,
        on_corrupt=config.on_corrupt,
    )
    return dataclasses.replace(dataset, spec=prepared_spec(config))


def prepared_spec(config: TrainConfig) -> DatasetSpec | DetectionSpec:
    """How images are prepared for the model of `config`."""
    catalog: Mapping[str, DatasetSpec] = CATALOG | DETECTION_CATALOG
    chosen = {"image_size": config.image_size, "augmentation": config.augmentation}
    given = {name: value for name, value in chosen.items() if value is not None}
    return dataclasses.replace(catalog[config.dataset], **given)


def describe(task: Task) -> dict[str, Any]:
    """What a run keeps of its task: what it says of itself, and how many examples each split has."""
    return {**task.metadata(), "examples": {split: task.examples(split) for split in SPLITS}}


def dataset_as_described(config: TrainConfig, described: Mapping[str, Any]) -> AnyDataset:
    """The data set of a run without its records, from what its task said of itself."""
    spec, class_names = prepared_spec(config), tuple(described["class_names"])
    if task_name(config) == "detection":
        return DetectionDataset(spec, class_names, tuple(described["category_ids"]), splits={})
    return Dataset(spec, class_names, splits={})


def make_task(
    config: TrainConfig, dataset: AnyDataset | None = None, *, described: Mapping[str, Any] | None = None
) -> Task:
    """Joins data with the model of `config`.

    Args:
        config: of a run.
        dataset: the data; None: those of `config`.
        described: what the task of the run said of itself, where its model is there already.
    """
    dataset = dataset or load_dataset(config)
    common = {
        "dataset": dataset,
        "model": config.model,
        "norm": config.norm,
        "initial_weights": config.initial_weights,
        "freeze": config.freeze,
    }
    if isinstance(dataset, Dataset):
        return ImageClassification(**common, model_options=config.model_options, label_smoothing=config.label_smoothing)
    options = dict(config.model_options)
    if described is not None:
        can_score = dataset.has_masks or not dataset.splits
        options["masks"] = described["has_masks"] and can_score
    return Detection(**common, model_options=options, seed=config.seed)


def refuse_other_classes(config: TrainConfig, dataset: AnyDataset, described: Mapping[str, Any]) -> None:
    """Refuses to score on data with other classes than those of the model."""
    names = described["class_names"]
    if list(dataset.class_names) != names:
        raise UserError(
            f"`dataset` must have the classes of the model: {_listed(names)}. Received: "
            f"dataset={config.dataset!r} with {_listed(dataset.class_names)}. Give the data it was trained for."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
