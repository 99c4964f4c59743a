"""How much memory this process holds, and held at most, as Linux counts it."""

from pathlib import Path


def resident_bytes() -> int:
    """Of the memory in use now, what is in RAM."""
    return _status("VmRSS")


def peak_resident_bytes() -> int:
    """The most that was ever in RAM; unlike `ru_maxrss` not that of the parent that started this process."""
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"/proc/self/status has no line {field}; peak memory can be measured on Linux only.")
