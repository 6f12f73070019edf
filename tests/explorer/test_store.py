"""The store: the latest things, within their bytes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gatework.errors import ExplorerError
from gatework.explorer.store import Store


class Thing:
    def __init__(self, size: int) -> None:
        self.bytes = size


def test_the_one_not_used_for_the_longest_time_goes_first():
    store = Store[Thing](10)
    for name in "abc":
        store.put(name, Thing(3))
    assert store.get("a") is not None
    store.put("d", Thing(3))
    assert list(store) == ["c", "a", "d"]
    assert (store.get("b"), store.bytes) == (None, 9)
    store.put("e", Thing(10))
    assert list(store) == ["e"]


def test_a_thing_takes_the_place_of_one_of_the_same_name():
    store = Store[Thing](10)
    store.put("a", Thing(6))
    store.put("a", Thing(7))
    assert (list(store), store.bytes) == (["a"], 7)


def test_what_is_larger_than_everything_is_refused_and_nothing_is_lost():
    store = Store[Thing](1_000_000)
    store.put("a", Thing(3))
    with pytest.raises(ExplorerError, match="This takes 2 MB and 1 MB may be kept") as caught:
        store.put("b", Thing(2_000_000))
    assert caught.value.status == 413
    assert list(store) == ["a"]


def test_many_threads_keep_the_count():
    store = Store[Thing](1000)

    def use(number: int) -> None:
        store.put(f"t{number % 70}", Thing(number % 40))
        store.get(f"t{number % 13}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(4000)))
    held = [store.get(name) for name in store]
    assert store.bytes == sum(thing.bytes for thing in held if thing is not None) <= 1000
