"""Export: SavedModels of standard TensorFlow ops."""

from zoo.export.saved_model import export_saved_model, read_metadata
from zoo.export.verify import ExportError, verify_saved_model

__all__ = ["ExportError", "export_saved_model", "read_metadata", "verify_saved_model"]
