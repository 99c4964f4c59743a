"""Data sets: a catalog, readers, and tf.data pipelines that are deterministic from a seed."""

from zoo.data.catalog import CATALOG, DatasetSpec, list_datasets
from zoo.data.dataset import Dataset, load
from zoo.data.image_ops import preprocess
from zoo.data.pipeline import evaluation_batches, file_batches, training_batches
from zoo.data.records import ON_CORRUPT, Records

__all__ = [
    "CATALOG",
    "ON_CORRUPT",
    "Dataset",
    "DatasetSpec",
    "Records",
    "evaluation_batches",
    "file_batches",
    "list_datasets",
    "load",
    "preprocess",
    "training_batches",
]
