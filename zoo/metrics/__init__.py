"""Metrics: arrays in, numbers, tables and pictures out."""

from zoo.metrics.classification import classification_scores, draw_confusion, per_class_table

__all__ = ["classification_scores", "draw_confusion", "per_class_table"]
