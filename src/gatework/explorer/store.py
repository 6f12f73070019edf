"""The results that the server stores between requests: the latest ones, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import Generic, Protocol, TypeVar

from gatework.errors import ExplorerError


class Sized(Protocol):
    """An object with a known size in memory."""

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        ...


Item = TypeVar("Item", bound=Sized)


class Store(Generic[Item]):
    """Store the items that were used last, as many as fit. Any number of threads may use it at once.

    Args:
        capacity: The most bytes that are stored.

    Example:
        >>> class Note(str):
        ...     bytes = property(len)
        >>> store = Store[Note](capacity=8)
        >>> for text in ("first", "second"):
        ...     store.put(text, Note(text))
        >>> list(store)
        ['second']
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        """The number of bytes that are stored."""
        return self._bytes

    def __iter__(self) -> Iterator[str]:
        """Yield the keys, from the least to the most recently used."""
        with self._lock:
            return iter(list(self._items))

    def put(self, key: str, item: Item) -> None:
        """Store an item, and remove those that were not used for the longest time.

        Args:
            key: Its key. An item with the same key is replaced.
            item: The item.

        Raises:
            ExplorerError: If the item alone is larger than the capacity.
        """
        size = item.bytes
        if size > self.capacity:
            raise ExplorerError(
                f"This takes {size / 1e6:,.0f} MB and {self.capacity / 1e6:,.0f} MB may be kept. Give a shorter text, "
                "or start the explorer with more --memory.",
                413,
            )
        with self._lock:
            if key in self._items:
                self._bytes -= self._items.pop(key).bytes
            self._items[key] = item
            self._bytes += size
            while self._bytes > self.capacity:
                self._bytes -= self._items.popitem(last=False)[1].bytes

    def get(self, key: str) -> Item | None:
        """Return an item, and mark it as the most recently used; None if it is not stored, or no longer."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]
