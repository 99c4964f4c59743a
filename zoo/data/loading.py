"""What loading any data set checks first."""

from pathlib import Path

from zoo.data.catalog import DatasetSpec
from zoo.data.records import ON_CORRUPT, OnCorrupt
from zoo.errors import UserError, unknown_name


def checked_fraction(spec: DatasetSpec, validation_fraction: float | None, *, on_corrupt: OnCorrupt) -> float:
    """The part of the training records that becomes the validation split; the catalog's for None.

    Raises:
        UserError: it isn't in [0, 1), or `on_corrupt` is unknown.
    """
    if on_corrupt not in ON_CORRUPT:
        raise unknown_name("on_corrupt", on_corrupt, ON_CORRUPT)
    fraction = spec.validation_fraction if validation_fraction is None else validation_fraction
    if not 0 <= fraction < 1:
        raise UserError(f"`validation_fraction` must be in [0, 1). Received: validation_fraction={fraction}.")
    return fraction


def find_folder(spec: DatasetSpec, data_dir: str | Path | None) -> Path:
    """The folder that holds the data set.

    Raises:
        UserError: it isn't given, is no folder or is empty.
    """
    if data_dir is None:
        raise UserError(f"The data set {spec.name} needs `data_dir` (`--data-dir`). {spec.how_to_get}")
    folder = Path(data_dir).expanduser()
    if not folder.is_dir() or not any(folder.iterdir()):
        fault = "is empty" if folder.is_dir() else "is no folder"
        raise UserError(
            f"`data_dir` must be a folder that holds the data set {spec.name!r}. Received: data_dir={str(data_dir)!r}, "
            f"which {fault}. {spec.how_to_get}"
        )
    return folder


def check_classes(spec: DatasetSpec, class_names: tuple[str, ...], data_dir: str | Path | None) -> None:
    """Refuses a data set without a choice between classes."""
    if len(class_names) < 2:
        raise UserError(
            f"`data_dir` must hold at least 2 classes. Received: data_dir={str(data_dir)!r}, with "
            f"{', '.join(class_names)} alone. {spec.how_to_get}"
        )
