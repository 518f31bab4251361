"""Columns are worked on two at a time, and come out in their order."""

import threading

import pytest

from distdnas_hpc.data.side_by_side import side_by_side


def test_outcomes_come_in_the_order_of_the_items_from_two_at_a_time():
    both = threading.Barrier(2, timeout=60)

    def work(item: int) -> int:
        both.wait()  # for the one beside it
        return item * item

    assert side_by_side(work, range(10)) == [item * item for item in range(10)]
    assert side_by_side(work, []) == []


def test_the_first_that_fails_is_raised_and_no_thread_is_left():
    threads = []

    def work(item: int) -> float:
        threads.append(threading.current_thread())
        return 1 / item

    with pytest.raises(ZeroDivisionError):
        side_by_side(work, [2, 1, 0, 1])
    assert threads and not any(thread.is_alive() for thread in threads)
