"""Models, data and training with a normalization that does not depend on the batch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.models.build import TASKS, build, list_models

__all__ = ["TASKS", "build", "list_models"]


def __getattr__(name: str) -> Any:
    """Imports Keras (and so its backend) on the first use only: `import zoo` stays instant."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zoo.models import build

    return getattr(build, name)
