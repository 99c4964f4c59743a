import os
import signal

import pytest

from zoo.training.preemption import Preemption


def test_the_second_ctrl_c_ends_at_once(capfd):
    with Preemption() as preemption:
        os.kill(os.getpid(), signal.SIGINT)
        assert preemption.requested
        assert preemption.by_user
        assert "Ctrl-C again" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_comes_as_often_as_it_likes():
    with Preemption() as preemption:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.requested
        assert not preemption.by_user


def test_what_the_process_was_started_to_ignore_is_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Preemption() as preemption:
            os.kill(os.getpid(), signal.SIGINT)
            assert not preemption.requested
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
