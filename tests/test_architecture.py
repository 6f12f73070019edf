"""The laws of the house: imports only go down, nothing is hidden, names mean one thing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gatework
from gatework import diagram, search, training

SOURCE = Path(gatework.__file__).parent

# Each package or module directly under gatework, and the floor it stands on.
FLOORS = {
    "errors": 0,
    "lazy": 0,
    "system": 0,
    "registry": 1,
    "fonts": 1,
    "reading": 1,
    "language": 1,
    "translations": 1,
    "data": 2,
    "decoding": 2,
    "runs": 2,
    "cells": 2,
    "kernels": 2,
    "heads": 3,
    "nn": 3,
    "tracing": 4,
    "exporting": 4,
    "diagram": 4,
    "tasks": 4,
    "models": 5,
    "training": 6,
    "search": 7,
    "explorer": 7,
    "cli": 8,
    "__main__": 9,
    "__init__": 10,
}
# The same inside a package. What stands on one floor does not import one another.
INNER_FLOORS = {
    "diagram": {
        "planning": 1,
        "drawing": 2,
        "rendering": 3,
        "kinds": 3,
        "picture": 4,
        "__init__": 5,
    },
}
WITHOUT_THIRD_PARTIES = ("gatework.errors", "gatework.language", "gatework.cells", "gatework.translations")
# What reads files and takes what is in them apart, and who may call it beside the readers.
READS = {
    *("open", "read_text", "read_bytes", "fromfile", "memmap", "safe_open", "load_file"),
    *("json.load", "json.loads", "tomllib.load", "tomllib.loads", "csv.reader", "csv.DictReader", "wave.open"),
    *("np.load", "np.loadtxt", "np.genfromtxt", "torch.load", "safetensors.torch.load", "pickle.load", "pickle.loads"),
    *("gzip.open", "gzip.decompress", "gzip.GzipFile", "zlib.decompress", "bz2.decompress", "lzma.decompress"),
    *("tarfile.open", "zipfile.ZipFile"),
}
MAY_READ = {
    "kernels/cpu/cache.py": "a folder that must be this user's alone, with hashes of its own",
    "kernels/planning/spec.py": "a text that the same process wrote",
    "training/jobs/memory_check.py": "the system's own files",
    "system.py": "the system's own files",
    "training/parallel.py": "what processes of one run tell each other",
    "runs/pool.py": "what processes of one comparison tell each other",
    "search/running/worker.py": "what processes of one comparison tell each other",
    "explorer/models.py": "files of the package",
    "explorer/report.py": "files of the package",
    "explorer/routes.py": "files of the package",
}
# The one file that imports the backends which are walled in: the table of all backends.
BACKENDS_TABLE = "kernels/door/backends.py"
# What a folder of the kernels may not import from, beside the backends behind walls.
APART = {"planning": {"reference", "llvm", "door"}, "reference": {"llvm", "door"}, "llvm": {"reference", "door"}}
# Rooms of one package, and the room beside each that it must not know.
WALLS = {"gatework.search.running": "gatework.search.comparing"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}

FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def module_name(path: Path) -> str:
    parts = ("gatework", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}
# Backends that nobody looks into. The reference is no secret: whatever runs, it says what that should give.
WALLED = {path.parent.name for path in FILES if path.match("kernels/*/backend.py")} - {"reference"}


def floor_key(module: str) -> str:
    """The package or module directly under gatework that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def inner_key(module: str) -> str:
    """The room of a package that a module belongs to: ``planning`` for ``gatework.diagram.planning.graph``."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 else "__init__"


def imported(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield what a file imports from gatework: the module, the name taken from it ('' for the module), the line."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, "", node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                # `from package import module` is an import of the module.
                inner = f"{module}.{alias.name}"
                yield (inner, "", node.lineno) if inner in MODULES else (module, alias.name, node.lineno)


def inside(path: Path) -> list[tuple[str, str, int]]:
    return [found for found in imported(path) if found[0].split(".")[0] == "gatework"]


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(SOURCE.parent)}:{line}"


def test_every_package_stands_on_a_floor():
    assert {floor_key(name) for name in MODULES} <= set(FLOORS)


def test_imports_only_go_down():
    faults = []
    for path in FILES:
        own = floor_key(module_name(path))
        if own == "__init__":
            continue  # the public table reaches everywhere, lazily
        for module, name, line in inside(path):
            other = floor_key(module)
            if (module, name) == ("gatework", "__version__"):
                continue  # a constant, there before anything is imported
            if other != own and FLOORS[other] >= FLOORS[own]:
                faults.append(f"{where(path, line)}: {own} (floor {FLOORS[own]}) imports {module} ({FLOORS[other]})")
    assert not faults


def test_nobody_looks_behind_the_wall_of_a_backend():
    """A backend is reached through the table alone, so that another can stand beside it or in its place."""
    assert "cpu" in WALLED
    faults = []
    for path in FILES:
        name = path.relative_to(SOURCE).as_posix()
        for module, _, line in inside(path):
            for walled in sorted(WALLED):
                own = name.startswith(f"kernels/{walled}/") or name == BACKENDS_TABLE
                if not own and f"{module}.".startswith(f"gatework.kernels.{walled}."):
                    faults.append(f"{where(path, line)}: {module}")
    assert not faults


def test_folders_of_the_kernels_stand_apart():
    faults = []
    for path in FILES:
        name = path.relative_to(SOURCE).as_posix()
        room = name.split("/")[1] if name.startswith("kernels/") else ""
        for module, _, line in inside(path):
            other = module.removeprefix("gatework.kernels.").split(".")[0]
            # A backend does not know the door it is reached by.
            if module.startswith("gatework.kernels.") and other in APART.get(room, {"door"} if room in WALLED else ()):
                faults.append(f"{where(path, line)}: {module}")
    assert not faults


def test_kernels_know_no_cell():
    """Neither by an import nor by a name: whatever a backend does for an equation it does for everybody's."""
    faults = []
    for path in (path for path in FILES if floor_key(module_name(path)) == "kernels"):
        faults += [where(path, line) for module, _, line in inside(path) if floor_key(module) == "cells"]
        faults += [
            f"{where(path, node.lineno)}: {node.value!r}"
            for node in ast.walk(TREES[path])
            if isinstance(node, ast.Constant) and node.value in gatework.CELLS
        ]
    assert not faults


@pytest.mark.parametrize("package", INNER_FLOORS)
def test_imports_only_go_down_inside_a_package(package):
    floors = INNER_FLOORS[package]
    inner = {name: inner_key(name) for name in MODULES if floor_key(name) == package}
    assert set(inner.values()) == set(floors)
    faults = []
    for name, own in inner.items():
        for module, _, line in inside(MODULES[name]):
            other = inner.get(module)
            if other is not None and other != own and floors[other] >= floors[own]:
                faults.append(f"{where(MODULES[name], line)}: {own} imports {module}, which is not below it")
    assert not faults


def test_files_are_read_by_the_readers_alone():
    """Elsewhere a file could be a pipe, without an end, or of another form, and whatever that raises would come out."""
    found: dict[str, list[str]] = {}
    for path in FILES:
        if floor_key(module_name(path)) == "reading":
            continue
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Call) and (call := reading_call(node)):
                found.setdefault(path.relative_to(SOURCE).as_posix(), []).append(f"line {node.lineno}: {call}")
    assert {name: calls for name, calls in found.items() if name not in MAY_READ} == {}
    assert set(MAY_READ) <= set(found), "what no longer reads need not be allowed to"


def reading_call(node: ast.Call) -> str:
    """Name the call if it reads a file or takes one apart; empty if not."""
    called = ast.unparse(node.func)
    last = called.rsplit(".", 1)[-1]
    modes = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    writes = any(isinstance(mode, str) and mode[:1] in ("w", "a", "x") for mode in modes)
    # A method that a run, a comparison or a folder of the system has under the same name.
    others = called.startswith(("os.", "directory.", "run.", "webbrowser.")) or called.endswith("run.open")
    bare = isinstance(node.func, ast.Name)
    known = last in {"open", "safe_open", "load_file"} if bare else called in READS or last in READS
    return called if known and not writes and not others else ""


def test_imported_modules_exist():
    """A misspelt module would otherwise only fail where it is used."""
    faults = [
        f"{where(path, line)}: {module}" for path in FILES for module, _, line in inside(path) if module not in MODULES
    ]
    assert not faults


def test_no_import_cycle():
    reaches = {name: {m for m, _, _ in inside(path) if m != "gatework"} for name, path in MODULES.items()}
    TopologicalSorter(reaches).prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize(("room", "beside"), WALLS.items())
def test_no_room_reaches_through_its_wall(room, beside):
    own = {name: path for name, path in MODULES.items() if f"{name}.".startswith(f"{room}.")}
    assert own
    assert beside in MODULES
    faults = [
        f"{where(path, line)}: {module}"
        for path in own.values()
        for module, _, line in inside(path)
        if f"{module}.".startswith(f"{beside}.")
    ]
    assert not faults


def test_no_import_is_hidden():
    faults = []
    for path in FILES:
        if path == SOURCE / "lazy.py":
            continue  # what the public tables in a package's __init__.py look names up with
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                hidden = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
                faults += [f"{where(path, n.lineno)}: import inside a function" for n in hidden]
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rsplit(".", 1)[-1]
                if called in {"import_module", "__import__"}:
                    faults.append(f"{where(path, node.lineno)}: {called}() hides an import")
    assert not faults


@pytest.mark.parametrize("module", WITHOUT_THIRD_PARTIES)
def test_needs_only_the_standard_library(module):
    """With torch blocked the import works, and nothing that is loaded comes from outside the standard library."""
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "before = set(sys.modules)\n"
        f"import {module}\n"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before} - {'gatework'}\n"
        "print(*sorted(loaded - sys.stdlib_module_names))\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_names_of_files_mean_something():
    assert not [str(path) for path in FILES if FORBIDDEN_NAMES & {path.stem, *path.relative_to(SOURCE).parts[:-1]}]


def test_no_public_function_bears_a_packages_name():
    packages = {path.parent.name for path in FILES if path.name == "__init__.py"} | set(FLOORS) - {"errors"}
    faults = [name for name in gatework.__all__ if name in packages]
    for path, tree in TREES.items():
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        faults += [f"{where(path, node.lineno)}: {node.name}()" for node in functions if node.name in packages]
    assert not faults


@pytest.mark.parametrize("package", [gatework, diagram, search, training], ids=lambda package: package.__name__)
def test_public_table_keeps_its_word(package):
    """Every public name can be had, and the table says truly where it lives."""
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    # What editors and the type checker are told is what the table does.
    told = {
        alias.asname: node.module if node.module != "gatework" else f"gatework.{alias.name}"
        for node in ast.walk(TREES[Path(package.__file__)])
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatework")
        for alias in node.names
        if alias.asname
    }
    assert told == package._PUBLIC


def test_unknown_public_name_lists_the_known_ones():
    with pytest.raises(
        AttributeError,
        match=r"no attribute 'LTSM'; it has Attention, Batch, CELLS, Cell, CompareConfig, GRU, GRUCell, Gap",
    ):
        gatework.LTSM  # noqa: B018
