"""What a video-classification example and batch are: keys, dtypes, shapes and units."""

import tensorflow as tf

from zoo.data.schema import Field

_LABEL = "index into the data set's class names, from 0"

# As decoded. T frames; H and W differ from video to video.
EXAMPLE = {
    "clip": Field(tf.uint8, (None, None, None, 3), "pixel values 0 to 255 (sRGB), [T, H, W, 3]"),
    "label": Field(tf.int32, (), _LABEL),
}

# As a model takes it, B clips of S x S pixels.
BATCH = {
    "clip": Field(tf.float32, (None, None, None, None, 3), "(pixel / 255 - mean) / std, [B, T, S, S, 3]"),
    "label": Field(tf.int32, (None,), f"{_LABEL}, [B]"),
}
# The same with pixels as they are, a quarter of the memory.
PIXEL_BATCH = {
    "clip": Field(tf.uint8, (None, None, None, None, 3), "pixel values 0 to 255 (sRGB), [B, T, S, S, 3]"),
    "label": BATCH["label"],
}

# What belongs to the clips of an evaluation batch, to average over the views of a video.
LABELS = {
    "label": BATCH["label"],
    "video": Field(tf.int64, (None,), "the place of the clip's video among the records, from 0, [B]"),
}
