"""The local launcher, with workers that are a few lines of plain Python."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoo.training import launch_workers

# Every worker runs this first: it knows its index and attempt, and says that it is there.
PRELUDE = """
import json, os, pathlib, signal, socket, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
attempt = len(list(pathlib.Path().glob(f"started_{index}_*")))
def say(name, value):
    part = pathlib.Path(f"{name}_{index}_{attempt}.part")
    part.write_text(json.dumps(value))
    part.rename(part.with_suffix(""))
def started():
    say("started", {"pid": os.getpid(), "config": config, "arguments": sys.argv[1:]})
"""


# The launcher, where workers that nothing is expected of any more are killed after a third of a second.
IMPATIENT = "import sys; from zoo.training import launch; launch.SHORT_GRACE_SECONDS = 0.3; sys.exit(launch.main())"


@pytest.fixture
def start(tmp_path):
    """Starts a launcher whose workers run `body` in tmp_path; whatever is left of it is ended at the end."""
    launchers = []

    def start(body, *options, arguments=(), script="job.py", impatient=False, **popen):
        (tmp_path / "job.py").write_text(PRELUDE + body)
        launcher = ["-c", IMPATIENT] if impatient else ["-m", "zoo.training.launch"]
        command = [sys.executable, *launcher, "--workers", "2", *options, script, *arguments]
        launcher = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen
        )
        launchers.append(launcher)
        return launcher

    yield start
    for launcher in launchers:
        launcher.kill()
        launcher.wait()
        launcher.stdout.close()
        launcher.stderr.close()
    for note in tmp_path.glob("started_*"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def launch(start):
    """Runs a launcher to its end: status, standard output and standard error."""

    def launch(*arguments, **options):
        launcher = start(*arguments, **options)
        output, errors = launcher.communicate(timeout=30)
        return launcher.returncode, output, errors

    return launch


def notes(folder: Path, name: str, *, attempt: int = 0, workers: int = 2) -> list:
    """What the workers said, as soon as all of them have."""
    paths = [folder / f"{name}_{index}_{attempt}" for index in range(workers)]
    deadline = time.monotonic() + 20
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"no {name} from all workers"
        time.sleep(0.02)
    return [json.loads(path.read_text()) for path in paths]


def runs(pid: int) -> bool:
    """Whether a process exists that is more than an entry waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_ended(pids: list[int]) -> None:
    deadline = time.monotonic() + 5
    while any(runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.02)


def test_workers_find_each_other(launch, tmp_path):
    status, _, errors = launch("started()", "--workers", "3", arguments=["--model", "resnet50", "--workers", "9"])
    assert status == 0, errors
    said = notes(tmp_path, "started", workers=3)
    addresses = said[0]["config"]["cluster"]["worker"]
    assert [each["config"]["task"] for each in said] == [{"type": "worker", "index": index} for index in range(3)]
    assert all(each["config"]["cluster"] == {"worker": addresses} for each in said)
    assert len(set(addresses)) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    assert all(each["arguments"] == ["--model", "resnet50", "--workers", "9"] for each in said)


def test_workers_know_the_command_line_of_the_launcher(launch, tmp_path):
    status, _, errors = launch("say('launcher', os.environ['KERAS_GN_LAUNCHER'])", "--logs", "a b", arguments=["--x"])
    assert status == 0, errors
    assert notes(tmp_path, "launcher")[1] == "python -m zoo.training.launch --workers 2 --logs 'a b'"


def test_chief_has_the_terminal_and_the_others_a_log(start, tmp_path):
    body = """
print("out of", index)
print("error of", index, file=sys.stderr)
while index == 0 and not pathlib.Path("read_1_0").exists(): time.sleep(0.02)
print("in of", index, repr(sys.stdin.read()))
say("read", True)
"""
    launcher = start(body, stdin=subprocess.PIPE)
    output, errors = launcher.communicate("typed", timeout=30)
    assert launcher.returncode == 0
    assert output == "out of 0\nin of 0 'typed'\n"
    assert "error of 0" in errors
    assert "runs/logs" in errors
    assert "of 1" not in output + errors
    log = (tmp_path / "runs/logs/worker_1.log").read_text()
    assert all(line in log for line in ("out of 1", "error of 1", "in of 1 ''"))


def test_a_worker_that_ends_with_0_waits_for_no_one(launch, tmp_path):
    status, _, _ = launch("time.sleep(1 * index)\nsay('finished', True)", "--grace", "0.1")
    assert status == 0
    assert (tmp_path / "finished_1_0").exists()


@pytest.mark.parametrize("failing", [0, 1])
def test_one_failure_ends_all(launch, tmp_path, failing):
    body = f"""
started()
if index == {failing}:
    while len(list(pathlib.Path().glob("started_*_0"))) < 2: time.sleep(0.02)
    print("the reason")
    say("failed", time.time())
    sys.exit(3)
time.sleep(60)
"""
    status, _, errors = launch(body, "--logs", "elsewhere")
    ended = time.time()
    assert status == 3
    assert ended - json.loads((tmp_path / f"failed_{failing}_0").read_text()) < 3
    assert f"worker {failing} (pid " in errors
    assert "ended with status 3" in errors
    assert ("the reason" in errors) == (failing == 1)  # the chief's is on the terminal's standard output
    assert (tmp_path / "elsewhere/worker_1.log").exists()
    assert_ended([each["pid"] for each in notes(tmp_path, "started")])


def test_a_killed_worker_ends_all(start, tmp_path):
    launcher = start("started()\ntime.sleep(60)")
    pids = [each["pid"] for each in notes(tmp_path, "started")]
    os.kill(pids[1], signal.SIGKILL)
    _, errors = launcher.communicate(timeout=10)
    assert launcher.returncode == 128 + signal.SIGKILL
    assert "SIGKILL" in errors
    assert_ended(pids)


def test_workers_and_their_children_that_ignore_signals_are_killed(launch, tmp_path):
    body = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if index == 1: child = subprocess.Popen(["sleep", "60"]); say("child", child.pid)
started()
if index == 1: time.sleep(60)
while not pathlib.Path("started_1_0").exists(): time.sleep(0.02)
say("failed", time.time())
os.abort()
"""
    status, _, errors = launch(body, "--grace", "0.5")
    assert 0.5 < time.time() - json.loads((tmp_path / "failed_0_0").read_text()) < 4
    assert status == 128 + signal.SIGABRT
    assert "did not end in time and is killed" in errors
    child = json.loads((tmp_path / "child_1_0").read_text())
    assert_ended([child, *(each["pid"] for each in notes(tmp_path, "started"))])


@pytest.mark.parametrize(("given", "added"), [([], ["--resume=if-begun"]), (["--resume"], [])])
def test_restart(launch, tmp_path, given, added):
    body = """
started()
mine = socket.socket()
if index == 0 and attempt == 0:  # takes the port of worker 1
    mine.bind(("127.0.0.1", int(config["cluster"]["worker"][1].split(":")[1])))
    say("taken", True)
    time.sleep(60)
while not pathlib.Path("taken_0_0").exists(): time.sleep(0.02)
mine.bind(("127.0.0.1", int(config["cluster"]["worker"][index].split(":")[1])))
"""
    status, _, errors = launch(body, "--max-restarts", "2", arguments=["--model", "tiny", *given])
    assert status == 0, errors
    first, second = (notes(tmp_path, "started", attempt=attempt) for attempt in range(2))
    assert all(each["arguments"] == ["--model", "tiny", *given] for each in first)
    assert all(each["arguments"] == ["--model", "tiny", *given, *added] for each in second)
    assert first[0]["config"]["cluster"] != second[0]["config"]["cluster"]
    assert "Address already in use" in errors
    assert "restart 1 of at most 2" in errors
    assert "restart 2" not in errors
    log = (tmp_path / "runs/logs/worker_1.log").read_text()
    assert "Address already in use" in log
    assert log.count("worker 1 of 2 starts at") == 2


def test_restarts_have_a_maximum(launch, tmp_path):
    status, _, errors = launch("started()\nif index == 1: print('attempt', attempt); sys.exit(75)", "--max-restarts=2")
    assert status == 75
    assert len(list(tmp_path.glob("started_1_*"))) == 3
    assert [errors.count(f"attempt {attempt}") for attempt in range(3)] == [1, 1, 1]  # each failure shows its own lines
    assert json.loads((tmp_path / "started_1_2").read_text())["arguments"] == ["--resume=if-begun"]


def test_a_mistake_in_the_command_is_not_tried_again(launch, tmp_path):
    status, _, errors = launch("started()\nif index == 1: sys.exit(2)", "--max-restarts=2")
    assert status == 2
    assert len(list(tmp_path.glob("started_1_*"))) == 1
    assert "restart" not in errors


COUNTS_SIGNALS = """
received = []
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, lambda number, _: received.append(number))
started()
while not received: time.sleep(0.02)
time.sleep(0.5)
say("received", received)
sys.exit({status})
"""


@pytest.mark.parametrize(
    ("number", "ends_with", "status"),
    [
        (signal.SIGTERM, "75", 75),
        (signal.SIGTERM, "0", 0),
        (signal.SIGTERM, "75 if index == 0 else 1", 75),
        (signal.SIGTERM, "4", 4),
        (signal.SIGINT, "75", 75),
        (signal.SIGINT, "4", 130),
        (signal.SIGHUP, "75", 75),
    ],
)
def test_signals_are_forwarded_once(start, tmp_path, number, ends_with, status):
    if signal.getsignal(number) == signal.SIG_IGN and number == signal.SIGHUP:
        pytest.skip("run by nohup")
    launcher = start(COUNTS_SIGNALS.format(status=ends_with), "--max-restarts", "3", start_new_session=True)
    pids = [each["pid"] for each in notes(tmp_path, "started")]
    os.killpg(launcher.pid, number)  # as the terminal does it
    launcher.communicate(timeout=10)
    assert launcher.returncode == status
    forwarded = signal.SIGTERM if number == signal.SIGHUP else number
    assert notes(tmp_path, "received") == [[forwarded], [forwarded]]
    assert not (tmp_path / "started_0_1").exists()
    assert_ended(pids)


def test_chief_has_the_grace_after_a_signal_and_the_others_follow(start, tmp_path):
    body = """
received = []
signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
started()
while not received: time.sleep(0.02)
if index == 0: time.sleep(1); say("checkpoint", True); sys.exit(75)
time.sleep(60)
"""
    launcher = start(body, impatient=True)
    pids = [each["pid"] for each in notes(tmp_path, "started")]
    begun = time.monotonic()
    launcher.terminate()
    _, errors = launcher.communicate(timeout=20)
    assert launcher.returncode == 75
    assert (tmp_path / "checkpoint_0_0").exists()
    assert time.monotonic() - begun < 4
    assert "worker 1 (pid " in errors
    assert "is killed" in errors
    assert_ended(pids)


def test_chief_has_the_grace_after_a_worker_was_preempted(launch, tmp_path):
    body = """
def checkpoint(*_): time.sleep(1); say("checkpoint", True); sys.exit(75)
signal.signal(signal.SIGTERM, checkpoint)
started()
while index == 1 and not pathlib.Path("started_0_0").exists(): time.sleep(0.02)
if index == 1: sys.exit(75)
time.sleep(60)
"""
    status, _, errors = launch(body, impatient=True)
    assert status == 75
    assert "status 75 (preempted, with a checkpoint)" in errors
    assert (tmp_path / "checkpoint_0_0").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_launcher_leaves_no_orphans(start, tmp_path):
    launcher = start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nstarted()\ntime.sleep(60)")
    pids = [each["pid"] for each in notes(tmp_path, "started")]
    assert all(runs(pid) for pid in pids)
    launcher.kill()
    assert_ended(pids)


def test_an_error_of_the_launcher_leaves_no_workers(tmp_path):
    pids = []

    def err_while_they_run():
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        with launch_workers.started(command, workers=2, logs=tmp_path) as workers:
            pids.extend(worker.process.pid for worker in workers)
            assert all(runs(pid) for pid in pids)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        err_while_they_run()
    assert_ended(pids)


@pytest.mark.parametrize(
    ("options", "script", "message"),
    [
        (["--workers", "0"], "job.py", "`workers` must be at least 1. Received: workers=0"),
        (["--max-restarts", "-1"], "job.py", "`max_restarts` must be at least 0. Received: max_restarts=-1"),
        (["--grace", "nan"], "job.py", "`grace` must be at least 0 seconds. Received: grace=nan"),
        ([], "tain.py", "`script` must be a Python file. Received: script='tain.py'"),
        (["--logs", "job.py"], "job.py", "job.py"),
    ],
)
def test_bad_arguments_are_refused(launch, tmp_path, options, script, message):
    status, output, errors = launch("started()", *options, script=script)
    assert status == 2
    assert errors.startswith("error: ")
    assert message in errors
    assert output == ""
    assert not list(tmp_path.glob("started_*"))


def test_starts_without_tensorflow():
    code = "import sys, zoo.training.launch; sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
