"""Worker processes that measure one thing each, and answer their parent line by line.

The parent asks one worker at a time, so that two never compete for the cores; what is compared is asked in turn.
A request is a line of JSON, `{"request": name, "arguments": {...}}`, and so is the answer.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

# These benchmarks are about CPUs.
_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


class WorkerError(RuntimeError):
    """A worker ended without an answer; the message has what it wrote to stderr."""


class Worker:
    """The parent's end of a worker; `start_worker` gives one."""

    def __init__(self, process: subprocess.Popen[str], stderr: TextIO) -> None:
        self._process = process
        self._stderr = stderr
        self._requests, self._answers = cast(TextIO, process.stdin), cast(TextIO, process.stdout)

    def ask(self, request: str, **arguments: Any) -> Any:
        """What the worker's function called `request` returns for `arguments`.

        Raises:
            WorkerError: If the worker has ended, or ends instead of answering.
        """
        try:
            self._requests.write(json.dumps({"request": request, "arguments": arguments}) + "\n")
            self._requests.flush()
            answer = self._answers.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = self._process.wait()
            self._stderr.seek(0)
            raise WorkerError(f"A worker ended with status {status}, asked for '{request}'.\n{self._stderr.read()}")
        return json.loads(answer)


@contextmanager
def start_worker(
    script: str | Path, *arguments: str, backend: str = "tensorflow", python: str | Path = sys.executable
) -> Iterator[Worker]:
    """A Python process that runs `script`, which calls `serve`, until the end of the block.

    Args:
        script: beside this file, or a whole path.
        *arguments: of its command line.
        backend: that Keras uses there.
        python: the interpreter, of this environment or of another.
    """
    with (
        # Shown if the worker fails; the libraries' notes would tear the progress bar apart.
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(
            [str(python), str(Path(__file__).parent / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **_ENVIRONMENT, "KERAS_BACKEND": backend},
        ) as process,
    ):
        try:
            yield Worker(process, stderr)
        except BaseException:
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                cast(TextIO, process.stdin).close()  # The worker's loop ends.


def serve(answers: Mapping[str, Callable[..., Any]]) -> None:
    """Answers the parent's requests with these functions until it hangs up; an exception ends the process."""
    # What a library prints must not be taken for an answer: stdout becomes stderr.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        for line in sys.stdin:
            request = json.loads(line)
            replies.write(json.dumps(answers[request["request"]](**request["arguments"])) + "\n")
            replies.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # The parent was stopped, and says so itself.
