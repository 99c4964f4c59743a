"""The loss scale of mixed_float16, which all replicas have to change together."""

import keras
import tensorflow as tf


class ReplicaLossScale(keras.optimizers.LossScaleOptimizer):
    """Skips a step, and halves the scale, where the gradients of any replica overflow.

    Keras asks each replica about its own gradients, before it sums them. Where only some overflow, the sum ruins the
    weights of the others, or these wait forever for gradients that are not sent.
    """

    def check_finite(self, grads: list[tf.Tensor]) -> tf.Tensor:
        finite = super().check_finite(grads)
        context = tf.distribute.get_replica_context() if tf.distribute.has_strategy() else None
        if context is None or context.num_replicas_in_sync == 1:
            return finite
        overflows = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(tf.logical_not(finite), tf.float32))
        return tf.equal(overflows, 0)
