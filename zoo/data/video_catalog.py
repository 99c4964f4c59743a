"""The video data sets that the zoo knows: one literal table."""

from dataclasses import dataclass, field, replace

from zoo.data.catalog import DatasetSpec
from zoo.data.clip_sampling import ClipSampling
from zoo.errors import UserError, unknown_name


@dataclass(frozen=True, kw_only=True)
class VideoSpec(DatasetSpec):
    """One video data set: how clips are taken and prepared, and where it comes from.

    `image_size` is the side of the square that training cuts out of every frame, `augmentation` a name in
    `zoo.data.clip_augmentations.AUGMENTATIONS`; `resize_ratio` and `tfds` say nothing here.

    Attributes:
        sampling: the frames of a clip, and the views of a video in evaluation.
        shorter_sides: (least, most): what the shorter side of a video is resized to in training, in pixels.
        test_shorter_side: and in evaluation.
        test_size: the side of the square that evaluation cuts out of every frame.
    """

    sampling: ClipSampling = field(default_factory=ClipSampling)
    shorter_sides: tuple[int, int] = (256, 320)
    test_shorter_side: int = 256
    test_size: int = 256

    def seen_at(self, image_size: int) -> "VideoSpec":
        """The same data set, with all sizes in proportion to a side of `image_size` pixels in training.

        >>> spec = get_video_spec("kinetics").seen_at(112)
        >>> spec.image_size, spec.shorter_sides, spec.test_shorter_side, spec.test_size
        (112, (128, 160), 128, 128)
        """

        def scaled(side: int) -> int:
            return round(side * image_size / self.image_size)

        least, most = self.shorter_sides
        return replace(
            self,
            image_size=image_size,
            shorter_sides=(scaled(least), scaled(most)),
            test_shorter_side=scaled(self.test_shorter_side),
            test_size=scaled(self.test_size),
        )

    def __post_init__(self) -> None:
        least, most = self.shorter_sides
        if not 1 <= self.image_size <= least <= most:
            raise UserError(
                "`shorter_sides` must be (least, most), at least `image_size`. Received: "
                f"shorter_sides={self.shorter_sides}, image_size={self.image_size}."
            )
        if not 1 <= self.test_size <= self.test_shorter_side:
            raise UserError(
                "`test_size` must be at most `test_shorter_side`. Received: "
                f"test_size={self.test_size}, test_shorter_side={self.test_shorter_side}."
            )


_MEAN, _STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

_SPECS = (
    VideoSpec(
        name="kinetics",
        description="Kinetics-400, 600 or 700: clips of ten seconds of as many human actions, or any data set in its "
        "form",
        image_size=224,
        channels=3,
        mean=_MEAN,
        std=_STD,
        augmentation="jitter_crop_flip",
        validation_fraction=0.1,
        source="https://github.com/cvdfoundation/kinetics-dataset",
        licence="annotations CC BY 4.0; videos: YouTube's terms",
        how_to_get="Download annotations and clips as https://github.com/cvdfoundation/kinetics-dataset tells and give "
        "the folder that holds annotations/ (train.csv, val.csv or validate.csv, test.csv with the columns label, "
        "youtube_id, time_start, time_end) beside train/, val/ and test/, where the clips are called "
        "<youtube_id>_<start>_<end>.mp4 with six digits each, in folders of classes or not.",
    ),
    VideoSpec(
        name="video_folder",
        description="any tree with one folder of videos a class",
        image_size=224,
        channels=3,
        mean=_MEAN,
        std=_STD,
        augmentation="jitter_crop_flip",
        validation_fraction=0.125,  # with 20 % for testing: 70 / 10 / 20
        how_to_get="Give a folder with one folder of videos a class, or with train/, val/ and test/, each of which has "
        "one folder of videos a class.",
    ),
)

VIDEO_CATALOG: dict[str, VideoSpec] = {spec.name: spec for spec in _SPECS}


def get_video_spec(name: str) -> VideoSpec:
    """The catalog's entry called `name`.

    Raises:
        UserError: there is none; the message has the nearest names.

    >>> str(get_video_spec("kinetics").sampling)
    '32x2'
    """
    if name not in VIDEO_CATALOG:
        raise unknown_name("dataset", name, VIDEO_CATALOG)
    return VIDEO_CATALOG[name]
