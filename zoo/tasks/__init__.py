"""Tasks: where data meets models."""

from zoo.tasks.detection import Detection
from zoo.tasks.image_classification import ImageClassification
from zoo.tasks.task import Evaluation, Signature, Task
from zoo.tasks.video_classification import VideoClassification

__all__ = ["Detection", "Evaluation", "ImageClassification", "Signature", "Task", "VideoClassification"]
