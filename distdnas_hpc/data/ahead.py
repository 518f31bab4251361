"""Two threads for a chain of work: what comes next is computed while what is there is written."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield function(item) for each item, in order, where `function` runs in a thread beside `items` and the caller.

    At most two items are under way, so memory is bounded. A fault in the function is raised here.
    """
    with ThreadPoolExecutor(1) as thread:
        running: Future[Result] | None = None
        for item in items:
            following = thread.submit(function, item)
            if running is not None:
                yield running.result()
            running = following
        if running is not None:
            yield running.result()
