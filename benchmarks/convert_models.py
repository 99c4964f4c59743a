"""Trains the models with batch normalization that benchmarks/convert_accuracy.py converts.

    python benchmarks/convert_models.py --data-dir DIR --output FOLDER
    python benchmarks/convert_models.py --data-dir DIR --output FOLDER --models small_resnet resnet50 --again

A small ResNet, a network of depthwise convolutions and a small DenseNet on Fashion-MNIST, and keras.applications'
ResNet50, MobileNetV2 and DenseNet121 on digits, enlarged to 64 pixels; a few minutes each on two CPU cores. AdamW, a
learning rate that falls to zero by a cosine, label smoothing, small shifts. Images of Fashion-MNIST are standardized
each, as tf.image.per_image_standardization does; digits have pixels from 0 to 1. Models that are harder to convert are
trained when named: cifar_resnet, the small ResNet on CIFAR-10, and those called raw_..., whose images aren't
standardized. The moving statistics of every
batch normalization get a momentum of 0.95 (keras.applications has 0.99 and 0.999), since they would lag otherwise in
trainings this short. A model that is in the folder already is kept, so that an interrupted run goes on.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
from convert_models_data import Augmented, Split, load_split, standardized
from convert_models_networks import application, small_densenet, small_mobilenet, small_resnet, tiny_resnet

from keras_gn.files import atomic_path
from zoo.errors import UserError

_WARMUP = 0.15  # Part of the steps in which the learning rate rises.


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Args:
        dataset: Its images, see `load_split`.
        build: Makes it.
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: At its peak.
        weight_decay: Of AdamW; gamma, beta and biases have none.
        shift: Pixels by which images are moved at most.
        flip: Whether half of the images are mirrored.
        standardize: Whether each image gets a mean of 0 and a deviation of 1; otherwise its pixels are from 0 to 1.
    """

    dataset: str
    build: Callable[[], keras.Model]
    epochs: int
    batch_size: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    shift: int = 2
    flip: bool = True
    standardize: bool = True

    def split(self, data_dir: Path | None) -> Split:
        """Training images as `Augmented` takes them, test images as the model does, and their labels."""
        x_train, y_train, x_test, y_test = load_split(self.dataset, data_dir)
        return x_train, y_train, self.prepared(x_test), y_test

    def prepared(self, images: np.ndarray) -> np.ndarray:
        """The images as the model takes them."""
        return standardized(images) if self.standardize else images


_DIGITS = partial(Recipe, "digits", batch_size=32, learning_rate=1e-3, shift=4, flip=False, standardize=False)

_CIFAR = Recipe("cifar10", partial(small_resnet, (32, 32, 3)), epochs=10, shift=4)

RECIPES: dict[str, Recipe] = {
    "small_resnet": Recipe("fashion_mnist", partial(small_resnet, (28, 28, 1)), epochs=5),
    "small_densenet": Recipe("fashion_mnist", small_densenet, epochs=5),
    "small_mobilenet": Recipe("fashion_mnist", small_mobilenet, epochs=6),
    "mobilenet_v2": _DIGITS(partial(application, "MobileNetV2"), epochs=25),
    "resnet50": _DIGITS(partial(application, "ResNet50"), epochs=12),
    "densenet121": _DIGITS(partial(application, "DenseNet121"), epochs=12),
}
HARDER_RECIPES: dict[str, Recipe] = {
    "cifar_resnet": _CIFAR,
    "raw_cifar_resnet": replace(_CIFAR, standardize=False),
    "raw_densenet": replace(RECIPES["small_densenet"], standardize=False),
    "raw_mobilenet": replace(RECIPES["small_mobilenet"], standardize=False),
}
QUICK_RECIPES: dict[str, Recipe] = {"tiny_resnet": _DIGITS(tiny_resnet, epochs=2, learning_rate=1e-2)}
ALL_RECIPES = RECIPES | HARDER_RECIPES | QUICK_RECIPES


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="holds the folders cifar10 and fashion_mnist")
    parser.add_argument("--output", type=Path, required=True, help="folder for the .keras files")
    parser.add_argument("--models", nargs="+", choices=ALL_RECIPES, default=list(RECIPES), help="these only")
    parser.add_argument("--again", action="store_true", help="train those that are there already, too")
    return parser.parse_args()


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """The part of the images whose largest output is that of their label."""
    return float(np.mean(np.argmax(model.predict(images, batch_size=128, verbose=0), axis=-1) == labels))


def train(recipe: Recipe, images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A model fresh from its training by `recipe`, the same one on every call up to rounding."""
    keras.utils.set_random_seed(0)
    model = recipe.build()
    batches = Augmented(
        images,
        labels,
        batch_size=recipe.batch_size,
        shift=recipe.shift,
        flip=recipe.flip,
        prepare=recipe.prepared,
        seed=0,
    )
    steps = len(batches) * recipe.epochs
    warmup = round(_WARMUP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    model.fit(batches, epochs=recipe.epochs, verbose="auto" if sys.stdout.isatty() else 2)
    return model


def train_and_save(name: str, path: Path, *, data_dir: Path | None) -> None:
    """Trains the model called `name`, writes it to `path`, and prints what it attains."""
    recipe = ALL_RECIPES[name]
    x_train, y_train, x_test, y_test = recipe.split(data_dir)
    sys.stdout.write(f"{name}: training on {recipe.dataset}, {recipe.epochs} epochs\n")
    start = time.perf_counter()
    model = train(recipe, x_train, y_train)
    minutes = (time.perf_counter() - start) / 60
    with atomic_path(path) as temporary:
        model.save(temporary)
    figures = f"{model.count_params():,} parameters, {minutes:.1f} minutes"
    sys.stdout.write(f"{name}: test accuracy {accuracy(model, x_test, y_test):.2%}, {figures}\n")
    sys.stdout.flush()


def train_missing(names: Sequence[str], folder: Path, *, data_dir: Path | None, again: bool = False) -> None:
    """Trains the models of `names` that are not in `folder` yet, or all of them."""
    for name in names:
        path = folder / f"{name}.keras"
        if again or not path.exists():
            train_and_save(name, path, data_dir=data_dir)
            keras.utils.clear_session()


def main() -> int:
    arguments = parse_arguments()
    try:
        train_missing(arguments.models, arguments.output, data_dir=arguments.data_dir, again=arguments.again)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
