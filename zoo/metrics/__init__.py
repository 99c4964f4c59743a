"""Metrics: arrays in, numbers, tables and pictures out."""

from zoo.metrics.classification import classification_scores, draw_confusion, per_class_table
from zoo.metrics.clip_strips import ClipStrip, draw_clips
from zoo.metrics.coco_ap import CocoScores, coco_scores
from zoo.metrics.coco_results import coco_results, write_results
from zoo.metrics.detection_gallery import Picture, draw_gallery

__all__ = [
    "ClipStrip",
    "CocoScores",
    "Picture",
    "classification_scores",
    "coco_results",
    "coco_scores",
    "draw_clips",
    "draw_confusion",
    "draw_gallery",
    "per_class_table",
    "write_results",
]
