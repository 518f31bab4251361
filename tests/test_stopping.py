"""Signals that wait until a step is over: real ones, sent to this process."""

import os
import signal
import threading
import time

import pytest

from distdnas_hpc import stopping
from distdnas_hpc.cluster.execute import Stopped, stop_on_signals
from distdnas_hpc.stopping import HeldStops


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def ctrl_c_raises():
    """Whatever this process was started as, Ctrl-C has Python's handler, and afterwards the one of before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_waits_until_it_is_delivered(number):
    steps = []
    with stop_on_signals(), pytest.raises(KeyboardInterrupt), HeldStops() as stops:
        assert not stops.notice()
        send(number)
        steps.append("finished")
        assert stops.notice()
        stops.deliver()
        steps.append("too far")
    assert steps == ["finished"]


def test_what_is_raised_is_what_the_handler_would_have_raised():
    with stop_on_signals(), pytest.raises(Stopped, match="time limit"), HeldStops() as stops:
        send(signal.SIGUSR2)
        stops.deliver()


def test_a_signal_that_nobody_noticed_is_delivered_at_the_end():
    done = False
    with stop_on_signals(), pytest.raises(Stopped), HeldStops():
        send(signal.SIGTERM)
        done = True
    assert done


def test_a_stop_is_not_forgotten_over_another_error():
    with stop_on_signals(), pytest.raises(Stopped), HeldStops():
        send(signal.SIGTERM)
        raise ValueError("in the same step")


def test_a_second_signal_is_not_kept_waiting_but_an_echo_of_the_first_is(monkeypatch):
    monkeypatch.setattr(stopping, "ECHO", 0.1)
    reached = []
    with stop_on_signals(), pytest.raises(Stopped, match="SIGTERM"), HeldStops():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        reached.append("after the echo")
        time.sleep(0.2)
        send(signal.SIGUSR2)
        reached.append("after the second")
    assert reached == ["after the echo"]


def test_a_step_that_hangs_is_broken_off(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)
    start = time.monotonic()
    with stop_on_signals(), pytest.raises(Stopped), HeldStops():
        send(signal.SIGTERM)
        threading.Event().wait(60)
    assert time.monotonic() - start < 30


def test_who_noticed_has_all_the_time_it_needs(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    written = False
    with stop_on_signals(), pytest.raises(Stopped), HeldStops() as stops:
        send(signal.SIGTERM)
        assert stops.notice()
        time.sleep(0.1)
        written = True
        stops.deliver()
    assert written


def test_handlers_are_what_they_were():
    numbers = (*stopping.HELD, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    with stop_on_signals(), pytest.raises(Stopped), HeldStops() as stops:
        send(signal.SIGTERM)
        stops.deliver()
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_signals_without_a_handler_keep_their_meaning():
    """SIGTERM ends a process that has no handler for it, held or not."""
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with HeldStops():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_in_another_thread_nothing_is_held():
    handlers = []

    def work():
        with HeldStops():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
