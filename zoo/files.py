"""JSON files, written atomically."""

import json
import os
from typing import Any

from keras_gn.files import atomic_path


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes `content` as indented JSON, atomically; NaN is refused, since JSON has none."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
