"""What the trainers of all backends have in common."""

from typing import Any

import keras


class Trainer(keras.Model):
    """A functional model whose training step takes `accumulate` batches at once, one after the other.

    A step gets their images together, of all replicas, computes the gradients of each part in turn, and applies the
    mean of all parts and replicas once. So a step means the same on one replica and on many, and needs the memory of
    one part.
    """

    def __init__(self, inputs: Any, outputs: Any, *, accumulate: int = 1, **kwargs: Any) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.accumulate = accumulate
