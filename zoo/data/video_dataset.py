"""Loads a video data set by name."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.dataset import SPLITS, Dataset
from zoo.data.defects import DefectReport
from zoo.data.loading import check_classes, checked_fraction, find_folder
from zoo.data.readers import kinetics, video_folder
from zoo.data.records import OnCorrupt
from zoo.data.split import with_validation
from zoo.data.video_catalog import VideoSpec, get_video_spec

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VideoDataset(Dataset):
    """A video data set that was found; its records are video files.

    Attributes:
        spec: how its clips are taken and prepared.
        report: what is wrong with the lists of clips, and what was done about it.
    """

    spec: VideoSpec
    report: DefectReport = field(default_factory=DefectReport)


def load_video(
    name: str,
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    validation_fraction: float | None = None,
    on_corrupt: OnCorrupt = "refuse",
) -> VideoDataset:
    """Finds the video data set `name` and its records; videos stay in their files. Defects are logged.

    Args:
        name: a name in `VIDEO_CATALOG`.
        data_dir: where its files are, in one of the forms that the catalog's `how_to_get` tells.
        seed: which training records become the validation split, where there is none.
        validation_fraction: part of every class of the training records that becomes the validation split, where there
            is none; the catalog's by default, and no split if 0.
        on_corrupt: what reading does about a video that can't be decoded: "refuse" with an error that names it, or
            "skip".

    Raises:
        UserError: an argument is wrong, or the data are missing, of fewer than two classes or not of a form that is
            known.
    """
    spec = get_video_spec(name)
    fraction = checked_fraction(spec, validation_fraction, on_corrupt=on_corrupt)
    folder, report = find_folder(spec, data_dir), DefectReport()
    if spec.name == "kinetics":
        found = kinetics.read(folder, spec, on_corrupt=on_corrupt)
        class_names, splits, report = found.class_names, found.splits, found.report
    else:
        class_names, splits = video_folder.read(folder, spec, on_corrupt=on_corrupt)
    if report.found:
        _LOG.warning("Defects of the data in %s:\n%s", data_dir, report)
    check_classes(spec, class_names, data_dir)
    splits = with_validation(splits, fraction, seed=seed)
    return VideoDataset(spec, class_names, {each: splits[each] for each in SPLITS if len(splits.get(each, ()))}, report)
