"""Work done ahead of its consumer, in a background thread."""

import queue
import threading
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass
class _End:
    """Comes after the last item; `fault` is what ended the work early, if anything did."""

    fault: BaseException | None


def prefetch(items: Generator[Item, None, None], alive: int) -> Generator[Item, None, None]:
    """Yield what `items` yields, in its order, made ahead in a thread.

    The thread starts with the first item asked for and ends with the last one, with a fault, or when this generator is
    closed or dropped; nobody else may use `items`.

    Parameters
    ----------
    alive : items that exist at a time, at least 1: the one that the consumer has, until it asks for the next, and those
        made ahead or being made. So `items` may fill the same `alive` buffers in turn.

    Raises
    ------
    BaseException : what was raised in `items`, after the items before it.
    """
    room = threading.Semaphore(alive)
    made: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()
    closed = False

    def work() -> None:
        try:
            with closing(items):
                room.acquire()
                while not closed:
                    made.put(next(items))
                    room.acquire()
        except StopIteration:
            made.put(_End(None))
        except BaseException as fault:
            made.put(_End(fault))

    # A daemon, because a program that ends with an unfinished generator should not wait for it.
    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
            del item  # before the next one is made
            room.release()
        if item.fault is not None:
            raise item.fault
    finally:
        closed = True
        room.release()
        thread.join()
