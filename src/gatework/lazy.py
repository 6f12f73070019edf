"""Lazy imports: of public names on first use, of functions on the first call.

So the import of a package does not import everything in it.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions with which a package's ``__init__.py`` imports its public names on first use.

    Args:
        package: The ``__name__`` of the package.
        homes: The module that defines each public name. A public module maps to itself.

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
        setattr(sys.modules[package], name, value)  # the next use does not call this function
        return value

    return get, lambda: sorted(homes)


def late(home: str, name: str) -> Callable[..., Any]:
    """Make a function that imports another function when it is called, and calls it.

    Args:
        home: The module that defines the other function.
        name: The name of the other function.

    Example:
        >>> late("math", "sqrt")(4)
        2.0
    """

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(home), name)(*arguments, **options)

    return call


def after(awaited: str, home: str) -> None:
    """Import a module as soon as another module is imported, or now if that module is already imported.

    Args:
        awaited: The module to wait for.
        home: The module to import then.

    Example:
        >>> after("math", "cmath")
        >>> "cmath" in sys.modules
        True
    """
    if sys.modules.get(awaited) is not None:
        import_module(home)
    else:
        sys.meta_path.insert(0, _Waiting(awaited, home))


class _Waiting:
    """A finder that finds one module through the other finders, and imports another module after it."""

    def __init__(self, awaited: str, home: str) -> None:
        self.awaited, self.home = awaited, home

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.awaited:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader, self)
        return spec


class _Then(Loader):
    """A loader that delegates to another loader, and then imports the waiting module."""

    def __init__(self, loader: Any, waiting: _Waiting) -> None:
        self.loader, self.waiting = loader, waiting

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        if self.waiting in sys.meta_path:
            sys.meta_path.remove(self.waiting)
        import_module(self.waiting.home)
