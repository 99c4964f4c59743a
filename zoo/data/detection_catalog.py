"""The detection data sets that the zoo knows: one literal table."""

from dataclasses import dataclass, replace

from zoo.data.catalog import DatasetSpec
from zoo.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class DetectionSpec(DatasetSpec):
    """One detection data set: how its images and objects are prepared, and where it comes from.

    `image_size` is the side of the square that batches are padded to, `augmentation` a name in
    `zoo.data.detection_augmentations.AUGMENTATIONS`; `resize_ratio` and `tfds` say nothing here.

    Attributes:
        shorter_side: what the shorter side of an image is resized to, in pixels,
        longer_side: unless the longer side would become longer than this. Both give way to `image_size`.
        sizes_rounded: whether the size after resizing is rounded to the nearest whole number, and not down.
        antialias: whether resizing that makes an image smaller averages over all of its pixels.
        objects: rows for the objects of an image; None: as many as the image with the most objects needs.
        mask_side: cells a side of the bitmap of an object.
    """

    shorter_side: int
    longer_side: int
    sizes_rounded: bool = True
    antialias: bool = True
    objects: int | None = None
    mask_side: int = 112

    def seen_at(self, image_size: int) -> "DetectionSpec":
        """The same, on a larger square in proportion; on a smaller one the sides give way.

        >>> spec = get_detection_spec("coco")
        >>> spec.seen_at(2688).shorter_side, spec.seen_at(512).shorter_side
        (1600, 800)
        """
        scale = max(1.0, image_size / self.image_size)
        return replace(
            self,
            image_size=image_size,
            shorter_side=round(self.shorter_side * scale),
            longer_side=round(self.longer_side * scale),
        )


_SPECS = (
    DetectionSpec(
        name="coco",
        description="COCO 2017 (118,287 images for training, 5,000 for validation, 80 classes), or any data set in its "
        "form",
        image_size=1344,
        shorter_side=800,
        longer_side=1333,
        channels=3,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        augmentation="flip",
        validation_fraction=0.2,
        source="https://cocodataset.org",
        licence="annotations CC BY 4.0; images: Flickr's terms, by image",
        how_to_get="Unpack train2017.zip, val2017.zip and annotations_trainval2017.zip of "
        "https://cocodataset.org/#download and give the folder that holds annotations/, train2017/ and val2017/; or "
        "give a folder of your own with annotations.json in COCO's form and images/ (docs/detection.md).",
    ),
)

DETECTION_CATALOG: dict[str, DetectionSpec] = {spec.name: spec for spec in _SPECS}


def get_detection_spec(name: str) -> DetectionSpec:
    """The catalog's entry called `name`.

    Raises:
        UserError: there is none; the message has the nearest names.

    >>> get_detection_spec("coco").shorter_side
    800
    """
    if name not in DETECTION_CATALOG:
        raise unknown_name("dataset", name, DETECTION_CATALOG)
    return DETECTION_CATALOG[name]
