"""A worker of benchmarks/model_garden.py, run in Model Garden's environment: its Mask R-CNN, one step when asked.

model_garden_peer.py JSON    with the fields of `Model`

The task of the experiment `maskrcnn_resnetfpn_coco` as published, in float32, without the checkpoint to start from.
"""

import json
import os
import sys
import time
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras
from model_garden_cases import CLASSES, WEIGHT_DECAY, scene
from official.vision.configs.maskrcnn import maskrcnn_resnetfpn_coco
from official.vision.ops.anchor import RpnAnchorLabeler, build_anchor_generator
from official.vision.tasks.maskrcnn import MaskRCNNTask
from peak_memory import peak_resident_bytes, resident_bytes
from worker import serve

_AFTER_IMPORTS = resident_bytes()
_OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes", "detection_masks")


class Model:
    """The task, its model and optimizer in graphs of `tf.function`, and one batch of data."""

    def __init__(self, work: str, batch_size: int, image_size: int, **ours: Any) -> None:
        del ours  # What is left of the request says how our side is built.
        tf_keras.utils.set_random_seed(0)
        self._training = work == "training"
        config = maskrcnn_resnetfpn_coco().task
        config.init_checkpoint = None
        config.model.input_size = [image_size, image_size, 3]
        assert (config.model.num_classes, config.losses.l2_weight_decay) == (CLASSES + 1, WEIGHT_DECAY)
        self._task = MaskRCNNTask(config)
        self._model = self._task.build_model()
        self._optimizer = tf_keras.optimizers.SGD(0.01, momentum=0.9)
        batch = scene(batch_size=batch_size, image_size=image_size)
        self._image = tf.constant(batch["image"])
        self._labels = self._labels_of(batch) if self._training else self._anchors(batch_size, image_size)
        self._graph = tf.function(self._train if self._training else self._predict)
        self._outcome: dict[str, np.ndarray] = {}

    def prepare(self) -> dict[str, Any]:
        """Traces and warms up; what the work led to."""
        for _ in range(2):
            self.step()
        if self._training:
            return {"parameters": self._model.count_params(), "loss": float(self._outcome["loss"])}
        detections = [int(count) for count in self._outcome["num_detections"]]
        return {"parameters": self._model.count_params(), "detections": detections}

    def step(self) -> float:
        """Seconds; what the step gave has been read, so it is over."""
        start = time.perf_counter()
        self._outcome = {name: value.numpy() for name, value in self._graph(self._image, self._labels).items()}
        return time.perf_counter() - start

    def memory(self) -> int:
        """Bytes: the most that was ever resident, less what was after the imports."""
        return peak_resident_bytes() - _AFTER_IMPORTS

    def _predict(self, image: tf.Tensor, labels: dict[str, Any]) -> dict[str, tf.Tensor]:
        size = labels["image_info"][:, 1]
        outputs = self._model(image, image_shape=size, anchor_boxes=labels["anchor_boxes"], training=False)
        return {name: outputs[name] for name in _OUTPUTS}

    def _train(self, image: tf.Tensor, labels: dict[str, Any]) -> dict[str, tf.Tensor]:
        return self._task.train_step((image, labels), self._model, self._optimizer)

    def _anchors(self, batch_size: int, image_size: int) -> dict[str, Any]:
        model = self._task.task_config.model
        generate = build_anchor_generator(
            min_level=model.min_level,
            max_level=model.max_level,
            num_scales=model.anchor.num_scales,
            aspect_ratios=model.anchor.aspect_ratios,
            anchor_size=model.anchor.anchor_size,
        )
        anchors = generate(image_size=(image_size, image_size))
        info = np.array([[image_size] * 2, [image_size] * 2, [1, 1], [0, 0]], "float32")
        return {
            "image_info": tf.constant(np.stack([info] * batch_size)),
            "anchor_boxes": {level: tf.stack([boxes] * batch_size) for level, boxes in anchors.items()},
        }

    def _labels_of(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """As its input pipeline makes them: the anchors' targets are ready before the step begins."""
        labels = self._anchors(*batch["image"].shape[:2])
        parser = self._task.task_config.train_data.parser
        labeler = RpnAnchorLabeler(
            parser.rpn_match_threshold,
            parser.rpn_unmatched_threshold,
            parser.rpn_batch_size_per_im,
            parser.rpn_fg_fraction,
        )
        is_object = batch["classes"] >= 0
        targets = []
        for number, rows in enumerate(is_object):
            anchors = {level: boxes[number] for level, boxes in labels["anchor_boxes"].items()}
            classes = batch["classes"][number][rows][:, None] + np.float32(1)
            targets.append(labeler.label_anchors(anchors, tf.constant(batch["boxes"][number][rows]), classes))
        for name, part in (("rpn_score_targets", 0), ("rpn_box_targets", 1)):
            labels[name] = {level: tf.stack([each[part][level] for each in targets]) for level in targets[0][part]}
        masks = np.where(is_object[..., None, None], batch["masks"].astype("float32"), -1)
        return {
            **labels,
            "gt_boxes": tf.constant(np.where(is_object[..., None], batch["boxes"], -1)),
            "gt_classes": tf.constant(np.where(is_object, batch["classes"] + 1, -1)),
            "gt_masks": tf.constant(masks),
        }


def main() -> None:
    model = Model(**json.loads(sys.argv[1]))
    serve({name: getattr(model, name) for name in ("prepare", "step", "memory")})


if __name__ == "__main__":
    main()
