"""JSON files, written atomically."""

import json
import os
from typing import Any

from keras_gn.files import atomic_path


def write_json(path: str | os.PathLike[str], content: Any, *, indent: int | None = 2) -> None:
    """Writes `content` as JSON, atomically, in lines unless `indent` is None; NaN is refused, since JSON has none."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n", encoding="utf-8")
