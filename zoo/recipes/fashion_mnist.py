"""SimpleNetV2 with GroupNorm on Fashion-MNIST.

    python train.py --model simplenet_v2 --norm gn --dataset fashion_mnist --data-dir DIR --epochs 1

2 cores of an AMD EPYC (Zen 4), float32: 148 s; test accuracy 89.06 %, seed 0. The 10 epochs of this recipe have not
been run.
"""

import dataclasses

from zoo.recipes.cifar10 import CIFAR10

FASHION_MNIST = dataclasses.replace(CIFAR10, dataset="fashion_mnist", epochs=10, learning_rate=5e-4)
