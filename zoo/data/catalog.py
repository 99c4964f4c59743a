"""The data sets that the zoo knows: one literal table."""

from dataclasses import dataclass, replace

from zoo.errors import unknown_name

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DatasetSpec:
    """One data set: how its images are prepared, and where it comes from.

    Change the size with `spec.seen_at(64)`, other fields with `dataclasses.replace`.

    Attributes:
        name: key in the catalog.
        description: what is in it.
        image_size: side of the square image that the model takes, in pixels.
        channels: 1 (gray) or 3 (RGB).
        mean: mean per channel, of pixels in [0, 1].
        std: standard deviation per channel, of pixels in [0, 1].
        augmentation: a name in `zoo.data.augmentations.AUGMENTATIONS`.
        validation_fraction: part of the training records set aside where there is no validation split.
        resize_ratio: for evaluation the shorter side becomes `image_size * resize_ratio` before the centre crop.
        tfds: name in tensorflow-datasets, or None.
        source: where it is published.
        licence: its terms, as far as its source states them.
        how_to_get: what `--data-dir` takes.
    """

    name: str
    description: str
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str
    validation_fraction: float
    resize_ratio: float = 1.0
    tfds: str | None = None
    source: str = ""
    licence: str = ""
    how_to_get: str = ""

    def seen_at(self, image_size: int) -> "DatasetSpec":
        """The same data set for a model that takes squares of `image_size` pixels."""
        return replace(self, image_size=image_size)


_SPECS = (
    DatasetSpec(
        name="digits",
        description="1,797 scanned handwritten digits, 8 x 8, 10 classes",
        image_size=16,
        channels=1,
        mean=(0.3053,),
        std=(0.3760,),
        augmentation="shift",
        validation_fraction=0.1,
        source="https://archive.ics.uci.edu/dataset/80 (the part that scikit-learn holds)",
        licence="CC BY 4.0",
        how_to_get="It comes with scikit-learn; leave `data_dir` out.",
    ),
    DatasetSpec(
        name="cifar10",
        description="60,000 photographs, 32 x 32, 10 classes; 10,000 of them for testing",
        image_size=32,
        channels=3,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        augmentation="pad_crop_flip",
        validation_fraction=0.1,
        tfds="cifar10",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated",
        how_to_get="Download https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz and give the folder it is in, "
        "or a folder that holds cifar-10-batches-py/, or train/ and test/ with class folders of images.",
    ),
    DatasetSpec(
        name="fashion_mnist",
        description="70,000 gray pictures of clothes, 28 x 28, 10 classes; 10,000 of them for testing",
        image_size=28,
        channels=1,
        mean=(0.2860,),
        std=(0.3530,),
        augmentation="shift",
        validation_fraction=0.1,
        tfds="fashion_mnist",
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        how_to_get="Download the four .gz files from https://github.com/zalandoresearch/fashion-mnist "
        "and give the folder they are in.",
    ),
    DatasetSpec(
        name="imagenet2012",
        description="1.28 million photographs, 1,000 classes; the 50,000 official validation images are the test split",
        image_size=224,
        channels=3,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        augmentation="random_resized_crop",
        validation_fraction=0.01,
        resize_ratio=256 / 224,
        source="https://www.image-net.org/challenges/LSVRC/2012",
        licence="non-commercial research",
        how_to_get="Register at https://www.image-net.org, unpack the archives to train/<wnid>/*.JPEG and "
        "val/<wnid>/*.JPEG, put synset_words.txt beside them for class names, and give the folder above train/. "
        "A store of tensorflow-datasets isn't read: it gives no image by itself, and all of them don't fit in memory.",
    ),
    DatasetSpec(
        name="plant_seedlings",
        description="photographs of seedlings, 12 species, sizes of 50 to 3,500 pixels",
        image_size=128,
        channels=3,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        augmentation="random_resized_crop",
        validation_fraction=0.125,  # with 20 % for testing: 70 / 10 / 20
        resize_ratio=256 / 224,
        source="https://www.kaggle.com/c/plant-seedlings-classification",
        licence="CC BY-SA 4.0",
        how_to_get="Download it from https://www.kaggle.com/c/plant-seedlings-classification, unpack it, and "
        "give the folder that holds the twelve species folders.",
    ),
    DatasetSpec(
        name="folder",
        description="any tree with one folder of images a class",
        image_size=224,
        channels=3,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        augmentation="random_resized_crop",
        validation_fraction=0.125,  # with 20 % for testing: 70 / 10 / 20
        resize_ratio=256 / 224,
        how_to_get="Give a folder with one folder of images a class, or with train/, val/ and test/, "
        "each of which has one folder of images a class.",
    ),
)

CATALOG: dict[str, DatasetSpec] = {spec.name: spec for spec in _SPECS}


def list_datasets() -> list[str]:
    """The names of the data sets, sorted.

    >>> list_datasets()
    ['cifar10', 'digits', 'fashion_mnist', 'folder', 'imagenet2012', 'plant_seedlings']
    """
    return sorted(CATALOG)


def get_spec(name: str) -> DatasetSpec:
    """The catalog's entry called `name`.

    Raises:
        UserError: there is none; the message has the nearest names.

    >>> get_spec("cifar10").image_size
    32
    """
    if name not in CATALOG:
        raise unknown_name("dataset", name, CATALOG)
    return CATALOG[name]
