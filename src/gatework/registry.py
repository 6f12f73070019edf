"""Registries: closed, ordered, read-only tables of cells, tasks and the like, by name."""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from gatework.errors import GateworkError, nearest


class Named(Protocol):
    """Anything that has a name."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


Entry = TypeVar("Entry", bound=Named)
_LIKENESS = 0.5  # names are short, so a lower similarity than for a sentence is still a hint


class Registry(Mapping[str, Entry], Generic[Entry]):
    """A closed table of entries by name. An unknown name gets the nearest one as a hint.

    Args:
        entries: The entries, in the order they are listed to people.
        unknown: The sentence for an unknown name, with ``{name}``, ``{hint}`` and ``{names}`` in it.
        hint: The words that offer the nearest name, with ``{near}`` in them.
        error: The class of the error.
        kind: The plural noun for the entries, such as ``cells``.

    Example:
        >>> from gatework.cells import CELLS
        >>> "lstm" in CELLS, CELLS.get("ltsm"), next(iter(CELLS))
        (True, None, 'rnn')
    """

    def __init__(self, *entries: Entry, unknown: str, hint: str, error: type[GateworkError], kind: str) -> None:
        self._entries = {entry.name: entry for entry in entries}
        if len(self._entries) != len(entries):
            raise ValueError(f"Two of the {kind} have one name.")
        self._unknown, self._hint, self._error, self._kind = unknown, hint, error, kind

    def __getitem__(self, name: str) -> Entry:
        """Look an entry up, or raise the registry's error, which offers the nearest name."""
        if name in self._entries:
            return self._entries[name]
        near = nearest(str(name).lower(), self._entries, _LIKENESS)
        hint = self._hint.format(near=near) if near else ""
        raise self._error(self._unknown.format(name=name, hint=hint, names=", ".join(self._entries)))

    def get(self, key: str, default: Any = None) -> Any:
        """Look an entry up, or return the default, as every mapping does."""
        return self._entries.get(key, default)

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of that name."""
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Yield the names in order."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._entries)

    def __repr__(self) -> str:
        """List the names."""
        return f"<{len(self)} {self._kind}: {', '.join(self)}>"
