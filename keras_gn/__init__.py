"""Group Normalization for Keras 3."""
