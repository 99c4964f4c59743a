"""Why there is no native kernel: the reason and the way out; callers go on with the portable kernel."""


class NativeUnavailableError(RuntimeError):
    """The native kernel can't be used here, or not yet."""


class BuildError(NativeUnavailableError):
    """The native kernel could not be built."""
