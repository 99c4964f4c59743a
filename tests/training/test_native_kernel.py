"""What train.py does about the native kernel before it trains."""

import logging

import pytest

from keras_gn import ops
from zoo.errors import UserError
from zoo.training.native_kernel import prepare_native_kernel


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch, tmp_path):
    """An empty cache and a compiler that isn't there; the choice of a kernel is put back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    monkeypatch.delenv("KERAS_GN_KERNEL", raising=False)
    monkeypatch.setattr(ops.kernel_choice, "_chosen", None)


def test_without_a_compiler_training_goes_on_with_the_portable_kernel(caplog):
    with caplog.at_level(logging.INFO, logger="zoo"):
        prepare_native_kernel()
    assert "slower, portable kernel. The compiler that the environment variable CXX names" in caplog.text
    assert ops.kernel_choice.chosen_kernel() == "portable"  # so that nothing is said twice


@pytest.mark.parametrize(("asked", "message"), [("native", "asks for the native kernel"), ("fast", "must be one of")])
def test_what_was_asked_for_and_cannot_be_had_is_told(monkeypatch, asked, message):
    monkeypatch.setenv("KERAS_GN_KERNEL", asked)
    with pytest.raises(UserError, match=message):
        prepare_native_kernel()


def test_nothing_is_built_for_those_who_chose_the_portable_kernel(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_GN_KERNEL", "portable")
    prepare_native_kernel()
    assert not list(tmp_path.iterdir())
