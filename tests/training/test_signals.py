import os
import signal
import threading

import pytest

from shopsight.training import signals as interrupts
from shopsight.training.signals import Interrupts


def kill(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_outside_a_step_it_stops_at_once(number):
    with pytest.raises(KeyboardInterrupt), Interrupts():
        kill(number)


def test_within_a_step_it_waits_and_twice_at_once_is_once():
    with Interrupts() as waiting:
        with waiting.deferred():
            kill()
            kill()
        assert waiting.requested
        assert not waiting.interrupted_mid_step


def test_asking_again_later_stops_within_a_step(monkeypatch):
    monkeypatch.setattr(interrupts, "_REPEAT_AFTER", 0.0)
    with Interrupts() as waiting:
        with waiting.deferred():
            kill()
            with pytest.raises(KeyboardInterrupt):
                kill()
        assert waiting.interrupted_mid_step


def test_the_handlers_before_come_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_leaves_the_handlers_alone():
    handlers = []

    def enter():
        with Interrupts():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
