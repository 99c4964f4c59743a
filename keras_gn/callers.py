"""Who is calling: what Keras tells nobody, read from the stack of calls."""

import sys
from types import FrameType

# A step runs in a thread of its own under some strategies, and a user's model may have steps of its own.
_STEPS = {"one_step_on_data", "train_step", "test_step", "predict_step"}


def inside_keras_trainer() -> bool:
    """Whether Keras' `fit`, `evaluate` or `predict` is running a step (not: exporting a model).

    No, if a future Keras names its functions otherwise, which costs speed and nothing else.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("keras.src.") and module.endswith("trainer") and frame.f_code.co_name in _STEPS:
            return True
        frame = frame.f_back
    return False
