"""A mapping of limited length. The value that was used least recently goes first."""

from collections import OrderedDict
from contextlib import suppress
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Hold the values that were used last.

    Several threads may use it. Each step is atomic, so there is no lock: another thread could hold the lock while a
    process forks.

    Args:
        most: The largest number of values.

    Example:
        >>> kept = Recent[str, int](2)
        >>> kept["a"], kept["b"] = 1, 2
        >>> kept.get("a")
        1
        >>> kept["c"] = 3
        >>> kept.get("b") is None
        True
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def values(self) -> list[Value]:
        """Return all values, the least recently used first."""
        return list(self._held.copy().values())

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, and mark it as just used; None if there is none."""
        value = self._held.get(key)
        with suppress(KeyError):  # there is none, or another thread removed it
            self._held.move_to_end(key)
        return value

    def __setitem__(self, key: Key, value: Value) -> None:
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            with suppress(KeyError):  # another thread was faster
                self._held.popitem(last=False)
