"""Work on many columns, two at a time: compiled code, numpy's sorting and reading run beside each other."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def side_by_side(work: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
    """Return what `work` makes of each item, in their order; the first that fails ends the work and is raised."""
    pool = ThreadPoolExecutor(2, "column")
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
