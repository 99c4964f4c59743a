"""Data sets: a catalog, readers, and tf.data pipelines that are deterministic from a seed."""

from zoo.data.catalog import CATALOG, DatasetSpec, list_datasets
from zoo.data.dataset import Dataset, load
from zoo.data.image_ops import preprocess
from zoo.data.pipeline import evaluation_batches, training_batches
from zoo.data.records import Records

__all__ = [
    "CATALOG",
    "Dataset",
    "DatasetSpec",
    "Records",
    "evaluation_batches",
    "list_datasets",
    "load",
    "preprocess",
    "training_batches",
]
