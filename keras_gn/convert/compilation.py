"""What a converted model keeps of its compilation."""

from collections.abc import Iterable
from types import FunctionType

import keras

_CARRIED = (
    "Compiled as before, with a new optimizer of the same settings: the former one's state belongs to weights that "
    "have changed their meaning."
)


def carry_compilation(source: keras.Model, target: keras.Model) -> tuple[str, ...]:
    """Compiles `target` as `source` is; what there is to say about it."""
    if not source.compiled:
        return ()
    loss = getattr(source, "loss", None)
    functions = {loss.__name__: loss} if isinstance(loss, FunctionType) else {}
    reason = "it can't be serialized"
    try:
        with keras.saving.custom_object_scope(functions):
            target.compile_from_config(source.get_compile_config())
    except Exception as error:  # noqa: BLE001 (whatever the user's own losses and metrics raise)
        reason = f"{type(error).__name__}: {error}"
    if target.compiled:
        return (_CARRIED,)
    return (f"Not compiled, for Keras can't copy what the model was compiled with ({reason}): call compile again.",)


def renew_compilation(model: keras.Model, layers: Iterable[keras.Layer]) -> tuple[str, ...]:
    """Gives `model`, some of whose `layers` have changed, an optimizer for its weights; what to say about it."""
    for layer in layers:
        if isinstance(layer, keras.Model):  # nested ones, too, may have been called: traced with the former layers
            layer.train_function = layer.test_function = layer.predict_function = None
    if not model.compiled or model.optimizer is None:
        return ()
    try:
        model.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    except Exception as error:  # noqa: BLE001 (whatever the user's own schedules raise)
        model.compiled = False
        reason = f"{type(error).__name__}: {error}"
        return (f"Not compiled any more, for Keras can't make such an optimizer anew ({reason}): call compile again.",)
    return (_CARRIED,)
