"""A worker of benchmarks/group_norm.py: has the contenders of one library, and measures them when asked.

group_norm_worker.py BACKEND [--threads N]
"""

import argparse
import importlib
import time
from typing import Any

from group_norm_cases import Case, Contender
from peak_memory import peak_resident_bytes, resident_bytes
from timing import Sampler
from worker import serve

_SMALL = (2, 8, 8, 64)

# After its work OpenMP keeps the cores busy with waiting for more; the next contender must not pay for it.
_SETTLE_SECONDS = {"torch": 0.01}


class Contenders:
    """The contenders of one backend that are ready to be sampled."""

    def __init__(self, backend: str) -> None:
        self._backend = importlib.import_module(f"group_norm_{backend}")
        self._settle_seconds = _SETTLE_SECONDS.get(backend, 0.0)
        self._samplers: dict[Contender, Sampler] = {}

    def kernel_problem(self, name: str) -> str | None:
        problem: str | None = self._backend.kernel_problem(name)
        return problem

    def prepare(self, contender: dict[str, Any], case: dict[str, Any], sample_seconds: float) -> None:
        key = Contender(**contender)
        run = self._backend.repeated(key.name, key.mode, _case(case))
        self._samplers[key] = Sampler(run, seconds=sample_seconds)

    def sample(self, contender: dict[str, Any]) -> float:
        seconds = self._samplers[Contender(**contender)]()
        time.sleep(self._settle_seconds)
        return seconds

    def release(self) -> None:
        self._samplers.clear()

    def peak_growth(self, contender: dict[str, Any], case: dict[str, Any]) -> int:
        """By how many bytes the resident memory grows over the inputs', at most, in one call of the work."""
        name, mode, large = contender["name"], contender["mode"], _case(case)
        # The code of TensorFlow and its threads are there before the clock starts.
        self._backend.repeated(name, mode, Case(_SMALL, large.dtype, large.backward))(2)
        once = self._backend.traced(name, mode, large)
        before = resident_bytes()
        results = once()
        growth = peak_resident_bytes() - before
        del results
        return growth


def _case(fields: dict[str, Any]) -> Case:
    return Case(**{**fields, "shape": tuple(fields["shape"])})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("tensorflow", "jax", "torch"))
    parser.add_argument("--threads", type=int, help="of TensorFlow, instead of one a core")
    arguments = parser.parse_args()
    if arguments.threads:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
        # One op at a time, as the layers of a network follow each other; a second thread for other ops would spin on
        # a core that the kernel is to have.
        tf.config.threading.set_inter_op_parallelism_threads(1)
    contenders = Contenders(arguments.backend)
    names = ("kernel_problem", "prepare", "sample", "release", "peak_growth")
    serve({name: getattr(contenders, name) for name in names})


if __name__ == "__main__":
    main()
