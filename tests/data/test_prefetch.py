"""Work ahead: the same items, a bounded number of them, and no thread left behind."""

import threading
import time

import pytest

from distdnas_hpc.data.prefetch import prefetch


class Source:
    """Numbers below `stop`, then a fault if there is one; counts what was made and remembers how it ended."""

    def __init__(self, stop: int, fault: BaseException | None = None) -> None:
        self.made = 0
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self._stop, self._fault = stop, fault

    def __iter__(self):
        try:
            for number in range(self._stop):
                self.threads.add(threading.get_ident())
                self.made += 1
                yield number
            if self._fault is not None:
                raise self._fault
        finally:
            self.closed.set()


@pytest.fixture(autouse=True)
def no_thread_is_left(new_threads):
    yield
    assert new_threads() == []


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("alive", [1, 2, 7, 100])
@pytest.mark.parametrize("items", [0, 1, 50])
def test_all_items_come_in_order_from_one_other_thread(alive, items):
    source = Source(items)
    assert list(prefetch(iter(source), alive)) == list(range(items))
    assert source.closed.is_set()
    assert len(source.threads) == min(items, 1)
    assert threading.get_ident() not in source.threads


@pytest.mark.parametrize("alive", [1, 2, 7])
def test_work_is_done_ahead_and_no_more_than_asked_for(alive):
    source = Source(50)
    items = prefetch(iter(source), alive)
    assert source.made == 0
    for taken in range(1, 20):
        next(items)
        wait_until(lambda taken=taken: source.made == taken + alive - 1)
        time.sleep(0.002)
        assert source.made == taken + alive - 1
    items.close()


def test_as_many_buffers_as_live_items_can_be_filled_in_turn():
    def fill():
        buffers = [[0], [0], [0]]
        for number in range(300):
            buffers[number % 3][0] = number
            yield buffers[number % 3]

    for number, buffer in enumerate(prefetch(fill(), 3)):
        assert buffer == [number]
        if number % 50 == 0:
            time.sleep(0.005)
        assert buffer == [number], "while the consumer has it, nobody writes to it"


@pytest.mark.parametrize("fault", [ValueError("broken"), KeyboardInterrupt()])
def test_a_fault_comes_after_the_items_before_it(fault):
    source = Source(3, fault)
    items = prefetch(iter(source), 2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(fault)) as caught:
        next(items)
    assert caught.value is fault
    assert any(entry.name == "__iter__" for entry in caught.traceback), "it tells where in the source it arose"


def test_closing_early_ends_the_thread_and_the_source(new_threads):
    source = Source(1000)
    items = prefetch(iter(source), 3)
    next(items)
    assert new_threads() == ["prefetch"]
    items.close()
    assert new_threads() == []
    assert source.closed.is_set()
    assert source.made <= 3


def test_dropping_it_is_closing_it():
    source = Source(1000)
    for item in prefetch(iter(source), 3):
        if item == 5:
            break
    assert source.closed.is_set()


def test_a_fault_of_the_consumer_closes_it():
    source = Source(1000)

    def consume():
        for _ in prefetch(iter(source), 3):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert source.closed.is_set()


def test_a_chain_of_threads_is_closed_from_its_end(new_threads):
    source = Source(1000)
    items = prefetch(prefetch(iter(source), 2), 2)
    assert [next(items) for _ in range(5)] == list(range(5))
    assert new_threads() == ["prefetch", "prefetch"]
    items.close()
    assert new_threads() == []
    assert source.closed.is_set()


def test_one_that_is_never_used_starts_nothing():
    source = Source(5)
    prefetch(iter(source), 2).close()
    assert source.made == 0
