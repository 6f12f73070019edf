"""What is imported later than it is named: public names when first asked for, functions when first called.

A package that is entered need not bring all it has.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
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


def late(home: str, name: str) -> Callable[..., Any]:
    """Make a function that imports what it stands for when it is first called.

    Args:
        home: The module.
        name: The function's name there.

    Example:
        >>> late("math", "sqrt")(4)
        2.0
    """

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(home), name)(*arguments, **options)

    return call


def after(awaited: str, home: str) -> None:
    """Import a module as soon as another is imported: now, where it is already; never, where it never is.

    Args:
        awaited: The module to wait for.
        home: The module that is imported then.

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
    """A finder that finds one module where the others find it, and has another imported behind it."""

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
    """A loader that loads as another does, and then imports what waited."""

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
