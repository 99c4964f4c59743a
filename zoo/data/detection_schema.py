"""What a detection example and batch are: keys, dtypes, shapes and units."""

import tensorflow as tf

from zoo.data.schema import Field

_BOXES = "(ymin, xmin, ymax, xmax), absolute pixels of the image"

# As decoded. n objects; H and W differ from image to image.
EXAMPLE = {
    "image": Field(tf.uint8, (None, None, 3), "pixel values 0 to 255 (sRGB), [H, W, 3]"),
    "boxes": Field(tf.float32, (None, 4), f"{_BOXES}, [n, 4]"),
    "classes": Field(tf.int32, (None,), "index into the data set's class names, from 0, [n]"),
    "crowd": Field(tf.bool, (None,), "neither an object to find nor background, [n]"),
}
EXAMPLE_MASKS = {
    "masks": Field(tf.uint8, (None, None, None), "bitmap of the object, 0 or 1, [n, h, w]"),
    "mask_windows": Field(tf.float32, (None, 4), f"what the bitmap covers, {_BOXES}, [n, 4]"),
}

# As a model takes it. B images padded to S x S, G rows for objects.
INPUTS = {
    "image": Field(tf.float32, (None, None, None, 3), "(pixel / 255 - mean) / std, [B, S, S, 3], padded with 0"),
    "image_size": Field(tf.int32, (None, 2), "(height, width) without the padding, pixels, [B, 2]"),
}
# And with the objects, to learn them.
TRAINING_INPUTS = {
    **INPUTS,
    "boxes": Field(tf.float32, (None, None, 4), f"{_BOXES}, [B, G, 4]"),
    "classes": Field(tf.int32, (None, None), "index into the class names, from 0; -1 in empty rows, [B, G]"),
    "crowd": Field(tf.bool, (None, None), "neither an object to find nor background, [B, G]"),
}
TRAINING_MASKS = {
    "masks": Field(tf.uint8, (None, None, None, None), "bitmap of the object, 0 or 1, [B, G, h, w]"),
    "mask_windows": Field(tf.float32, (None, None, 4), f"what the bitmap covers, {_BOXES}, [B, G, 4]"),
}

# What belongs to the inputs of an evaluation batch, to score what is found.
LABELS = {
    "image_id": Field(tf.int64, (None,), "the annotation file's number of the image, [B]"),
    "original_size": Field(tf.int32, (None, 2), "(height, width) of the image file, pixels, [B, 2]"),
    "scale": Field(tf.float32, (None, 2), "(vertical, horizontal) resized over original size, [B, 2]"),
}
