"""What a TensorFlow computation is surrounded by: XLA, and the devices of the machine."""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util


def under_xla() -> bool:
    """Whether the graph that is being traced will be compiled by XLA."""
    if tf.executing_eagerly():
        return False
    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def on_cpu_only() -> bool:
    """Whether TensorFlow has nothing but CPUs to compute on."""
    return all(device.device_type == "CPU" for device in tf.config.get_visible_devices())
