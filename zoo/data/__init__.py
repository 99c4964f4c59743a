"""Data sets: a catalog, readers, and tf.data pipelines that are deterministic from a seed."""

from zoo.data.catalog import CATALOG, DatasetSpec, list_datasets
from zoo.data.clip_sampling import ClipSampling
from zoo.data.dataset import Dataset, load
from zoo.data.decode_meter import DecodeMeter, DecodeRates
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
from zoo.data.video_catalog import VIDEO_CATALOG, VideoSpec
from zoo.data.video_dataset import VideoDataset, load_video
from zoo.data.video_pipeline import (
    video_clip_batches,
    video_evaluation_batches,
    video_training_batches,
)

__all__ = [
    "CATALOG",
    "DETECTION_CATALOG",
    "ON_CORRUPT",
    "VIDEO_CATALOG",
    "ClipSampling",
    "Dataset",
    "DatasetSpec",
    "DecodeMeter",
    "DecodeRates",
    "DetectionDataset",
    "DetectionRecords",
    "DetectionSpec",
    "Records",
    "VideoDataset",
    "VideoSpec",
    "detection_evaluation_batches",
    "detection_file_batches",
    "detection_training_batches",
    "evaluation_batches",
    "file_batches",
    "list_datasets",
    "load",
    "load_detection",
    "load_video",
    "model_inputs",
    "preprocess",
    "training_batches",
    "video_clip_batches",
    "video_evaluation_batches",
    "video_training_batches",
]
