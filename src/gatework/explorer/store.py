"""What the server remembers between requests: the latest things, up to so many bytes."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import Generic, Protocol, TypeVar

from gatework.errors import ExplorerError


class Sized(Protocol):
    """Something that knows how much memory it holds."""

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        ...


Item = TypeVar("Item", bound=Sized)


class Store(Generic[Item]):
    """Keep the things that were used last, as many as fit. Any number of threads may use it at once.

    Args:
        capacity: The most bytes that are kept.

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
        """How many bytes are kept."""
        return self._bytes

    def __iter__(self) -> Iterator[str]:
        """Give the keys, from the one that goes first to the one that was used last."""
        with self._lock:
            return iter(list(self._items))

    def put(self, key: str, item: Item) -> None:
        """Keep a thing, and let go of those that were not used for the longest time.

        Args:
            key: What it is called; a thing of the same name is replaced.
            item: The thing.

        Raises:
            ExplorerError: When it alone is larger than everything that may be kept.
        """
        size = item.bytes
        if size > self.capacity:
            raise ExplorerError(
                f"this takes {size / 1e6:,.0f} MB and {self.capacity / 1e6:,.0f} MB may be kept: give a shorter text, "
                "or start the explorer with more --memory",
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
        """Give a thing, which is then the one used last; None where it is not kept, or not any more."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]
