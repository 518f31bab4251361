"""Work in a thread beside: same results, same order, faults told, memory bounded."""

import threading

import pytest

from distdnas_hpc.data.ahead import map_ahead


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_results_come_in_order(n):
    assert list(map_ahead(lambda i: i * i, iter(range(n)))) == [i * i for i in range(n)]


def test_the_function_runs_in_one_other_thread():
    threads = set(map_ahead(lambda _: threading.get_ident(), range(20)))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_at_most_two_items_are_ahead_of_the_consumer():
    taken = []

    def items():
        for i in range(10):
            taken.append(i)
            yield i

    for i in map_ahead(lambda i: i, items()):
        assert len(taken) <= i + 2


def test_a_fault_is_raised_after_the_results_before_it():
    got = []
    with pytest.raises(ZeroDivisionError):
        for value in map_ahead(lambda i: 6 // (3 - i), range(10)):
            got.append(value)
    assert got == [2, 3, 6]


def test_no_thread_is_left_when_the_consumer_stops_early():
    before = threading.active_count()
    results = map_ahead(lambda i: i, range(10))
    next(results)
    results.close()
    assert threading.active_count() == before
