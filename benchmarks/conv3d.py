"""The gradient of a 3-D convolution with strides on a CPU: Keras' layer beside keras_gn's.

    python benchmarks/conv3d.py
    python benchmarks/conv3d.py --frames 16 --image-size 112

Times, on TensorFlow, a convolution and all of its gradients as one graph: the stem of the zoo's 3D ResNets (7 x 7 x 7,
64 filters, strides of 1, 2 and 2) for one clip. Both layers take a sample in turn. Exits with 1 where keras_gn's is not
faster.
"""

import argparse
import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from checks import Check, report_checks
from timing import Sampler, Spread, alternate

from keras_gn.layers import Conv3D

LAYERS = {"keras": keras.layers.Conv3D, "keras_gn": Conv3D}


def gradients_of(layer: keras.layers.Conv3D, clips: np.ndarray) -> Callable[[int], None]:
    """A function that so many times convolves, and differentiates the sum of squares by the clips and the kernel."""
    x = tf.constant(clips)
    layer.build(x.shape)

    @tf.function
    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, [x, layer.kernel.value])

    def run(calls: int) -> None:
        for _ in range(calls):
            gradients()[0].numpy()

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8, help="of the clip (default %(default)s)")
    parser.add_argument("--image-size", type=int, default=56, help="pixels (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="samples of each (default %(default)s)")
    arguments = parser.parse_args()
    shape = (1, arguments.frames, arguments.image_size, arguments.image_size, 3)
    clips = np.random.default_rng(0).normal(size=shape).astype("float32")
    samplers = {
        name: Sampler(gradients_of(layer(64, 7, strides=(1, 2, 2), padding="same"), clips), seconds=0.1)
        for name, layer in LAYERS.items()
    }
    found = {name: Spread.of(samples) for name, samples in alternate(samplers, rounds=arguments.rounds).items()}
    for name, spread in found.items():
        sys.stdout.write(f"{name:8}  {spread.in_milliseconds()} ms\n")
    ratio = found["keras"].median / found["keras_gn"].median
    return report_checks([Check("Keras' time over keras_gn's", ratio, "at least", 1)])


if __name__ == "__main__":
    raise SystemExit(main())
