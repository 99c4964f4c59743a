"""What building and loading a native op need of TensorFlow; nothing imports it before that."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from keras_gn.ops.native.errors import NativeUnavailableError


@dataclass(frozen=True)
class Toolchain:
    """A TensorFlow that an op is compiled for.

    Attributes:
        version: Its release and its source revision.
        compile_flags: Options of the compiler; those that set the C++ ABI must be the ones of TensorFlow.
        link_flags: Options of the linker.
    """

    version: str
    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...]


def tensorflow_toolchain() -> Toolchain:
    """The toolchain of the TensorFlow that is installed.

    Raises:
        NativeUnavailableError: If there is none.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise NativeUnavailableError(
            f"The native kernel is an op of TensorFlow, which can't be imported ({error}). Install tensorflow."
        ) from error
    return Toolchain(
        version=f"{tf.version.VERSION} {tf.version.GIT_VERSION}",
        compile_flags=tuple(tf.sysconfig.get_compile_flags()),
        link_flags=tuple(tf.sysconfig.get_link_flags()),
    )


def load_op_library(library: Path) -> ModuleType:
    """The Python functions of the ops in `library`.

    Raises:
        NativeUnavailableError: If the system's or TensorFlow's loader refuses it.
    """
    import tensorflow as tf

    try:
        module: ModuleType = tf.load_op_library(str(library))
    except tf.errors.OpError as error:
        reason = str(error).partition("\n")[0]
        raise NativeUnavailableError(
            f"The library {library} can't be loaded: {reason}. If its folder is on a file system where programs "
            "can't run (noexec), set XDG_CACHE_HOME to another; else run `python -m keras_gn.ops.native build --force`."
        ) from error
    return module
