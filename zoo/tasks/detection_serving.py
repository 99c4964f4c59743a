"""What the SavedModel of a detector computes: from images of any size to objects in their pixels."""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from zoo.data import DetectionSpec, model_inputs
from zoo.data.detection_ops import Example, to_original
from zoo.data.detection_schema import INPUTS, LABELS
from zoo.data.image_ops import decode
from zoo.data.schema import Field
from zoo.models.mask_rcnn.paste import paste_masks
from zoo.tasks.detection_scores import MASK_FROM

Outputs = dict[str, tf.Tensor]
_GEOMETRY = ("original_size", "scale")


class DetectionServing:
    """Resizing, the model, and what it finds in pixels of the images as they came.

    Both functions return

        boxes [B, D, 4] (ymin, xmin, ymax, xmax), absolute pixels; scores [B, D];
        classes [B, D] int32, -1 in empty slots; class_names [B, D], "" there;
        num_detections [B] int32: the first so many slots are filled;
        masks [B, D, H, W] uint8, 0 or 1, with a mask head; image_size [B, 2] int32 (height, width).

    H and W are the largest height and width in the batch; smaller images are at the top left.
    """

    def __init__(self, model: keras.Model, spec: DetectionSpec, class_names: Sequence[str]) -> None:
        self.spec = spec
        # A graph of its own, which both functions use.
        self.detect = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
        # One more, which the class -1 of empty slots becomes.
        self.class_names = tf.constant([*class_names, ""])

    def serve(self, images: tf.Tensor) -> Outputs:
        """uint8 images [B, H, W, 3] of one size."""
        return self._detect(lambda image: image, images)

    def serve_encoded(self, encoded_images: tf.Tensor) -> Outputs:
        """The contents [B] of JPEG, PNG, BMP or GIF files, whose images may differ in size."""
        return self._detect(decode, encoded_images)

    def _detect(self, read: Callable[[tf.Tensor], tf.Tensor], batch: tf.Tensor) -> Outputs:
        def prepare(one: tf.Tensor) -> tuple[Example, Example]:
            return model_inputs(read(one), self.spec)

        side = self.spec.image_size
        form = (_signature(INPUTS, side), _signature({key: LABELS[key] for key in _GEOMETRY}, side))
        inputs, geometry = tf.map_fn(prepare, batch, fn_output_signature=form)
        found = self.detect(inputs)
        size = geometry["original_size"]
        boxes = to_original(found["boxes"], scale=geometry["scale"], size=size)
        classes = found["classes"]
        outputs = {
            "boxes": boxes,
            "scores": found["scores"],
            "classes": classes,
            "class_names": tf.gather(self.class_names, tf.where(classes < 0, len(self.class_names) - 1, classes)),
            "num_detections": found["num_detections"],
            "image_size": size,
        }
        if "masks" in found:
            outputs["masks"] = _paste(found["masks"], boxes, canvas=tf.reduce_max(size, axis=0))
        return outputs


def _signature(form: Mapping[str, Field], side: int) -> dict[str, tf.TensorSpec]:
    """The fields without their batch; images have the size that they are padded to."""
    return {
        key: tf.TensorSpec([side, side, 3] if key == "image" else field.shape[1:], field.dtype)
        for key, field in form.items()
    }


def _paste(masks: tf.Tensor, boxes: tf.Tensor, *, canvas: tf.Tensor) -> tf.Tensor:
    """uint8 [B, D, H, W] of masks [B, D, m, m], one after the other: only bytes of them are kept."""

    def paste(one: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        pasted = paste_masks(*one, size=(canvas[0], canvas[1]))
        return tf.cast(pasted >= MASK_FROM, tf.uint8)

    flat = (tf.reshape(masks, [-1, *masks.shape[2:]]), tf.reshape(boxes, [-1, 4]))
    pasted = tf.map_fn(paste, flat, fn_output_signature=tf.TensorSpec([None, None], tf.uint8))
    return tf.reshape(pasted, tf.concat([tf.shape(boxes)[:2], canvas], axis=0))
