"""Public names that are imported when they are first asked for: a package that is entered need not bring all it has."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make what a package's ``__init__.py`` looks its public names up with.

    Args:
        package: The package, its ``__name__``.
        homes: For each public name the module it lives in; a module that is public stands for itself.

    Returns:
        The package's ``__getattr__`` and ``__dir__``.

    Example:
        >>> __getattr__, __dir__ = lazily("gatework", {"cell": "gatework.cells"})
        >>> __getattr__("cell").__name__, __dir__()
        ('cell', ['cell'])
        >>> __getattr__("sell")
        Traceback (most recent call last):
        AttributeError: module 'gatework' has no attribute 'sell'; it has cell
    """

    def get(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(homes))}")
        module = import_module(home)
        value = module if home == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)  # found there from now on
        return value

    return get, lambda: sorted(homes)
