"""Fashion-MNIST."""

import dataclasses

from zoo.recipes.cifar10 import CIFAR10

FASHION_MNIST = dataclasses.replace(CIFAR10, dataset="fashion_mnist", epochs=10)
