"""Reads trees of videos with one folder a class, divided into splits or not."""

from pathlib import Path

from zoo.data.catalog import DatasetSpec
from zoo.data.readers import image_folder
from zoo.data.readers.image_folder import FileKind
from zoo.data.records import OnCorrupt, Records

VIDEOS = FileKind(
    "videos", (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".gif")
)


def read(data_dir: Path, spec: DatasetSpec, *, on_corrupt: OnCorrupt) -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names and the records, as `image_folder.read` gives them of images."""
    return image_folder.read(data_dir, spec, on_corrupt=on_corrupt, kind=VIDEOS)
