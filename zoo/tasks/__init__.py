"""Tasks: where data meets models."""

from zoo.tasks.image_classification import ImageClassification
from zoo.tasks.task import Evaluation, Signature, Task

__all__ = ["Evaluation", "ImageClassification", "Signature", "Task"]
