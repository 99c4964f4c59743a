"""No SavedModel needs the native op: to save a graph that has it is an error, not a model that nobody can load."""

import functools
from typing import Any

from tensorflow.python.framework import meta_graph
from tensorflow.python.saved_model import save


def refuse_native_op() -> None:
    """Has TensorFlow check every SavedModel that this process writes.

    TensorFlow has a check of the ops in a SavedModel already, which callers must ask for; this one comes before it.
    """
    check_ops = getattr(save, "_verify_ops", None)
    if check_ops is None:  # a TensorFlow that named it otherwise: such a model fails when it is loaded
        return

    @functools.wraps(check_ops)
    def check(graph_def: Any, *arguments: Any, **options: Any) -> Any:
        if any(name.startswith("KerasGn>") for name in meta_graph.ops_used_by_graph_def(graph_def)):
            raise ValueError(
                "This SavedModel would need keras_gn's native op and could not be loaded elsewhere: one of its "
                "functions was traced in training, or while set_kernel('native') or KERAS_GN_KERNEL=native asked for "
                "the op everywhere. Call keras_gn.ops.set_kernel('portable') and trace it anew, as "
                "`model.export(...)` does by itself, or leave training functions out of what is saved."
            )
        return check_ops(graph_def, *arguments, **options)

    save._verify_ops = check
