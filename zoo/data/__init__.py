"""Data sets: a catalog, readers, and tf.data pipelines that are deterministic from a seed."""

from zoo.data.catalog import CATALOG, DatasetSpec, list_datasets
from zoo.data.dataset import Dataset, load
from zoo.data.detection_catalog import DETECTION_CATALOG, DetectionSpec
from zoo.data.detection_dataset import DetectionDataset, load_detection
from zoo.data.detection_pipeline import (
    detection_evaluation_batches,
    detection_file_batches,
    detection_training_batches,
    model_inputs,
)
from zoo.data.detection_records import DetectionRecords
from zoo.data.image_ops import preprocess
from zoo.data.pipeline import evaluation_batches, file_batches, training_batches
from zoo.data.records import ON_CORRUPT, Records

__all__ = [
    "CATALOG",
    "DETECTION_CATALOG",
    "ON_CORRUPT",
    "Dataset",
    "DatasetSpec",
    "DetectionDataset",
    "DetectionRecords",
    "DetectionSpec",
    "Records",
    "detection_evaluation_batches",
    "detection_file_batches",
    "detection_training_batches",
    "evaluation_batches",
    "file_batches",
    "list_datasets",
    "load",
    "load_detection",
    "model_inputs",
    "preprocess",
    "training_batches",
]
