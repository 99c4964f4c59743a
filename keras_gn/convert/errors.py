"""What a conversion refuses for reasons that lie in the model, not in an argument."""


class ConversionError(ValueError):
    """A model that can't be converted as asked; it is as it was before."""
