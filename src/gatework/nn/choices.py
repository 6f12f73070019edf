"""Settings of a layer that the user may change at any time: how the layer is run."""

from collections.abc import Sequence
from typing import Any, overload

from gatework.errors import ConfigError


class Choice:
    """An attribute that is one of a few words, and is checked whenever it is set.

    Args:
        words: The words, the default first.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, layer: None, owner: type) -> "Choice": ...

    @overload
    def __get__(self, layer: object, owner: type) -> str: ...

    def __get__(self, layer: Any, owner: type) -> "Choice | str":
        if layer is None:
            return self
        # A whole layer that was saved by an older version lacks this attribute.
        return layer.__dict__.get(self.name, self.words[0])

    def __set__(self, layer: Any, word: str) -> None:
        if word not in self.words:
            raise ConfigError(f"{self.name} is {word!r}. Choose one of {', '.join(self.words)}.")
        layer.__dict__[self.name] = word
