"""State dicts from memory and from files; what can't be read, or mustn't be, is refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from zoo.errors import UserError
from zoo.weights.state_dict import read_state_dict

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
STATE = {"conv1.weight": np.arange(6.0, dtype="float32").reshape(2, 3), "bn1.num_batches_tracked": np.array(7)}


def with_torch(code: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in the system's Python, where torch may be; skips where it is not."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", "import torch, numpy"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"needs torch in {SYSTEM_PYTHON}: apt-get install python3-torch")
    return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, text=True, env=environment)


def test_a_mapping() -> None:
    found = read_state_dict({"a": [1.0, 2.0], "b": np.float32(3)})
    assert {name: array.shape for name, array in found.items()} == {"a": (2,), "b": ()}


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "weights.safetensors")
    found = read_state_dict(str(tmp_path / "weights.safetensors"))
    assert set(found) == set(STATE)
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array)


def test_bfloat16(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "half.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\x80\x3f\x00\x40")
    found = read_state_dict(tmp_path / "half.safetensors")["a"]
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, [1, 2])


@pytest.mark.parametrize(
    ("file_name", "content", "message"),
    [
        ("weights.safetensors", b"no weights", r"`weights` must be a whole safetensors file.*weights\.safetensors"),
        ("weights.h5", b"", r"`weights` must end in \.safetensors, \.pth, \.pt\. Received: weights='.*weights\.h5'"),
        ("weights.pth", None, r"`weights` must be a file that exists\. Received: weights='.*weights\.pth'"),
    ],
    ids=["broken", "another kind", "missing"],
)
def test_what_is_no_such_file_is_named(file_name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / file_name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_state_dict(tmp_path / file_name)


def test_without_torch_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(UserError, match=r"a \.safetensors file where torch isn't installed.*save_file\(torch\.load\("):
        read_state_dict(tmp_path / "weights.pth")


def test_torchs_own_file(tmp_path: Path) -> None:
    code = f"""
import numpy, torch
from zoo.weights.state_dict import read_state_dict
state = torch.nn.BatchNorm1d(3).state_dict()
state["half"] = torch.ones(2, dtype=torch.bfloat16)
torch.save(state, {str(tmp_path / "weights.pth")!r})
found = read_state_dict({str(tmp_path / "weights.pth")!r})
numpy.savez({str(tmp_path / "found.npz")!r}, **found)
"""
    ended = with_torch(code)
    assert ended.returncode == 0, ended.stderr
    found = np.load(tmp_path / "found.npz")
    assert {"weight", "bias", "running_mean", "running_var", "num_batches_tracked", "half"} == set(found)
    np.testing.assert_array_equal(found["running_var"], [1, 1, 1])
    np.testing.assert_array_equal(found["half"], [1, 1])


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    code = f"""
import pathlib, torch
from zoo.errors import UserError
from zoo.weights.state_dict import read_state_dict
class Evil:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path({str(tmp_path / "touched")!r}),)
for name, content in (("evil", {{"a": Evil()}}), ("whole", {{"model": {{"a": torch.ones(1)}}}})):
    path = {str(tmp_path)!r} + "/" + name + ".pth"
    torch.save(content, path)
    try:
        read_state_dict(path)
    except UserError as error:
        print(error)
pathlib.Path(path).write_bytes(b"no weights")
try:
    read_state_dict(path)
except UserError as error:
    print(error)
"""
    ended = with_torch(code)
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "touched").exists()
    evil, whole, broken = ended.stdout.split("`weights` ")[1:]
    assert evil.startswith("must be a whole file that holds tensors only. Received: weights=")
    assert whole.startswith("must hold a state dict, names to tensors. Received: weights=")
    assert broken.startswith("must be a whole file that holds tensors only. Received: weights=")
