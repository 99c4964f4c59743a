"""Recipes: named configurations. A run without --recipe takes the one named after its data set."""

from zoo.errors import unknown_name
from zoo.recipes.cifar10 import CIFAR10
from zoo.recipes.coco import COCO, COCO_2X, COCO_3X, COCO_6X
from zoo.recipes.digits import DIGITS
from zoo.recipes.fashion_mnist import FASHION_MNIST
from zoo.recipes.folder import FOLDER, PLANT_SEEDLINGS
from zoo.recipes.imagenet import IMAGENET_GN
from zoo.recipes.kinetics import KINETICS, KINETICS_64X1, KINETICS_SMALL_BATCH
from zoo.recipes.video_folder import VIDEO_FOLDER
from zoo.training.config import TrainConfig

RECIPES: dict[str, TrainConfig] = {
    "digits": DIGITS,
    "cifar10": CIFAR10,
    "fashion_mnist": FASHION_MNIST,
    "plant_seedlings": PLANT_SEEDLINGS,
    "folder": FOLDER,
    "imagenet2012": IMAGENET_GN,
    "coco": COCO,
    "coco_2x": COCO_2X,
    "coco_3x": COCO_3X,
    "coco_6x": COCO_6X,
    "kinetics": KINETICS,
    "kinetics_small_batch": KINETICS_SMALL_BATCH,
    "kinetics_64x1": KINETICS_64X1,
    "video_folder": VIDEO_FOLDER,
}


def get_recipe(name: str) -> TrainConfig:
    """The recipe called `name`; an unknown name is an error that offers the nearest."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]
