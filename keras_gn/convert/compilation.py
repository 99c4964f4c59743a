"""What a converted model keeps of its compilation."""

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


def renew_compilation(model: keras.Model) -> tuple[str, ...]:
    """Gives `model`, whose layers have changed, an optimizer for its present weights; what there is to say about it."""
    # Traced with the former layers.
    model.train_function = model.test_function = model.predict_function = None
    if not model.compiled or model.optimizer is None:
        return ()
    model.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    return (_CARRIED,)
