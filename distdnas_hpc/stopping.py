"""Signals that ask to stop, held back until a training loop is between two steps."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
PATIENCE = 20.0
"""Seconds that a step may go on after a signal; Slurm kills a job KillWait = 30 s after its SIGTERM."""
ECHO = 1.0
"""Seconds within which signals are one request: srun and slurmd may both pass it on."""

Handler = Callable[[int, FrameType | None], object]


class HeldStops:
    """Context in which a first SIGINT, SIGTERM or SIGUSR2 waits until `deliver` lets its handler have it.

    An exception raised in the middle of an optimizer's step would leave weights that no uninterrupted run ever had. A
    further signal, or PATIENCE seconds, and the handler is called wherever the program is, so nobody waits in vain for
    a step that hangs; the loop's last checkpoint is as good then, only older.

    Only handlers written in Python are put off (what `execute` sets, and Python's own for Ctrl-C), and only in the main
    thread, since no other gets signals.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._first: tuple[int, FrameType | None] | None = None
        self._since = 0.0

    def notice(self) -> bool:
        """Whether a signal waits; if so, PATIENCE is over: the caller does what must be done before `deliver`."""
        if self._first is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return self._first is not None

    def __enter__(self) -> "HeldStops":
        if threading.current_thread() is threading.main_thread():
            for number in HELD:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self.deliver()

    def deliver(self) -> None:
        """Hold nothing back any more, and call the handler of the signal that waits, if one does; usually it raises."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        first, self._first = self._first, None
        if first is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm_before)
            self._handlers[first[0]](*first)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._first is None:
            self._first, self._since = (number, frame), time.monotonic()
            self._alarm_before = signal.signal(signal.SIGALRM, lambda *_: self.deliver())
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        elif time.monotonic() - self._since > ECHO:
            self.deliver()
