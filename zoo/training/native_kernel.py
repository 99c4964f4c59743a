"""The native kernel of group normalization, built before the first training on a machine."""

import logging

import keras
import tensorflow as tf

from keras_gn import ops
from keras_gn.ops.kernel_choice import chosen_kernel
from zoo.errors import UserError
from zoo.training.backend import training_backend

logger = logging.getLogger(__name__)


def prepare_native_kernel() -> None:
    """Compiles the native kernel where it is wanted and not yet there, which takes half a minute.

    Where that fails, says why and goes on with the portable kernel.

    Raises:
        UserError: it fails, and KERAS_GN_KERNEL asks for it; or that variable names no kernel.
    """
    try:
        asked = chosen_kernel()
    except ValueError as error:
        raise UserError(str(error)) from error
    if not training_backend().COMPUTES_WITH_TENSORFLOW:
        if asked == "native":
            raise UserError(
                "`KERAS_GN_KERNEL` asks for the native kernel, which is TensorFlow's, and Keras runs on "
                f"{keras.backend.backend()}. Received: native. Unset it."
            )
        return
    if asked == "portable" or (asked == "auto" and tf.config.get_visible_devices("GPU")):
        return
    try:
        ops.native.build()
    except ops.native.NativeUnavailableError as error:
        if asked == "native":
            raise UserError(f"`KERAS_GN_KERNEL` asks for the native kernel. Received: native. {error}") from error
        logger.info("Group normalization uses the slower, portable kernel. %s", error)
        ops.set_kernel("portable")
