"""Draw the rooms of the house and who imports whom, from the code.

    python docs/house.py --image docs/images/house.svg [--source src/gatework] [--json]

A room is a package or a module directly under gatework, or a package inside one. Rooms stand as low as their imports
let them: every line goes down. Lines that follow from others are left out, and a room that is imported from a room
beside or below it, which would be a knot, is drawn in red.
"""

import argparse
import ast
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import mean

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Edges = dict[tuple[str, str], int]

# Tables of names, and what everything may import.
_LEFT_OUT = {"__init__", "__main__", "errors", "lazy", "registry", "system", "translations"}
_GROUPS = ("tasks.", "language.", "explorer.")  # folders in these only group files of one room
_GAP = 0.22  # how much of a room's width a line takes that passes between two
_INK, _LINE, _KNOT, _PAPER = "#1f2328", "#8c959f", "#cf222e", "#ffffff"
_TINTS = ("#ddf4ff", "#dafbe1", "#fff8c5", "#ffeff7", "#fbefff", "#ffebe9", "#f6f8fa", "#e6f3ff")


def room_of(module: str, rooms: Iterable[str]) -> str:
    """Find the innermost room that a module, named below gatework, lies in."""
    inside = [room for room in rooms if module == room or module.startswith(f"{room}.")]
    return max(inside, key=len)


def read_rooms(source: Path) -> tuple[dict[str, int], Edges]:
    """Read the rooms of a source tree.

    Args:
        source: The folder of the package ``gatework``.

    Returns:
        For each room how many lines of code it holds, and for each pair of rooms how often the first imports the
        second.
    """
    files = {".".join(path.relative_to(source).with_suffix("").parts): path for path in source.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in files.items()}
    packages = {name for name, path in modules.items() if path.name == "__init__.py" and name != "__init__"}
    top = {name.split(".")[0] for name in modules}
    rooms = top | {name for name in packages if name.count(".") == 1 and not name.startswith(_GROUPS)}
    tables = {f"{name}.{public}": home for name in packages for public, home in public_names(modules[name])}
    sizes: Counter[str] = Counter()
    filled: set[str] = set()
    edges: Counter[tuple[str, str]] = Counter()
    for name, path in modules.items():
        own = room_of(name, rooms)
        text = path.read_text(encoding="utf-8")
        sizes[own] += len(text.splitlines())
        filled |= {own} if path.name != "__init__.py" else set()  # a table of names alone is no room
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("gatework"):
                continue
            base = (node.module or "").removeprefix("gatework").lstrip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".lstrip(".")
                target = whole if whole in modules else tables.get(whole, base)
                if target and path.name != "__init__.py":
                    other = room_of(target, rooms)
                    edges[own, other] += other != own
    kept = {room: size for room, size in sizes.items() if room.split(".")[0] not in _LEFT_OUT and room in filled}
    return kept, {pair: n for pair, n in edges.items() if n and set(pair) <= kept.keys()}


def public_names(table: Path) -> Iterable[tuple[str, str]]:
    """Give the names that a package's ``__init__`` offers and the modules, named below gatework, where they live."""
    for node in ast.walk(ast.parse(table.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatework."):
            for alias in node.names:
                yield alias.asname or alias.name, (node.module or "").removeprefix("gatework.")


def floors(rooms: Iterable[str], edges: Edges) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Put every room one floor above all that it imports.

    Returns:
        The floor of each room, and the imports that had to be left out for that: those that close a knot.
    """
    below = {room: {other for own, other in edges if own == room} for room in rooms}
    floor: dict[str, int] = {}
    knots: set[tuple[str, str]] = set()

    def place(room: str, above: tuple[str, ...]) -> int:
        for other in sorted(below[room]):
            if other in (*above, room):
                knots.add((room, other))
            elif other not in floor:
                place(other, (*above, room))
        free = [floor[other] for other in below[room] if (room, other) not in knots and other in floor]
        return floor.setdefault(room, 1 + max(free, default=-1))

    for room in sorted(rooms):
        if room not in floor:
            place(room, ())
    return floor, knots


def needed(edges: Edges, knots: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give the imports that do not follow from others: no way leads from the one room to the other but the line."""
    after: dict[str, set[str]] = {}
    for own, other in edges:
        if (own, other) not in knots:
            after.setdefault(own, set()).add(other)

    def reaches(start: str, end: str) -> bool:
        return end in after.get(start, ()) or any(reaches(one, end) for one in after.get(start, ()))

    return [
        (own, other)
        for own, others in sorted(after.items())
        for other in sorted(others)
        if not any(one != other and reaches(one, other) for one in others)
    ]


def routed(floor: Mapping[str, int], lines: list[tuple[str, str]]) -> list[list[str]]:
    """Give for each line the places it passes, one on every floor: the two rooms, and gaps between others."""
    return [
        [own, *(f"|{own} {other} {level}" for level in range(floor[own] - 1, floor[other], -1)), other]
        for own, other in lines
    ]


def placed(floor: Mapping[str, int], ways: list[list[str]]) -> dict[str, tuple[float, float]]:
    """Place rooms and gaps: each row in an order in which lines are short, over a few sweeps down and up."""
    rows: dict[int, list[str]] = {}
    beside: dict[str, list[str]] = {}
    for way in ways:
        for upper, lower in pairwise(way):
            beside.setdefault(upper, []).append(lower)
            beside.setdefault(lower, []).append(upper)
    levels = dict(floor)
    levels |= {stop: levels[way[0]] - depth for way in ways for depth, stop in enumerate(way)}
    for stop, level in sorted(levels.items()):
        rows.setdefault(level, []).append(stop)
    x = {stop: float(index) for row in rows.values() for index, stop in enumerate(row)}
    for sweep in range(60):
        for level in sorted(rows, reverse=bool(sweep % 2)):
            middle = {stop: mean([x[stop], *(x[other] for other in beside.get(stop, ()))]) for stop in rows[level]}
            rows[level].sort(key=lambda stop, middle=middle: (middle[stop], stop))
            widths = [_GAP if stop.startswith("|") else 1.0 for stop in rows[level]]
            edge = -sum(widths) / 2
            for stop, width in zip(rows[level], widths, strict=True):
                x[stop] = edge + width / 2
                edge += width
    return {stop: (x[stop], float(level)) for stop, level in levels.items()}


def draw(sizes: Mapping[str, int], edges: Edges, path: Path) -> None:
    """Draw the house into a file."""
    floor, knots = floors(sizes, edges)
    places = placed(floor, ways := routed(floor, needed(edges, knots)))
    left, right = min(x for x, _ in places.values()), max(x for x, _ in places.values())
    top = max(floor.values())
    figure = Figure(figsize=(1.75 * (right - left + 1), 0.95 * (top + 1)), facecolor=_PAPER)
    axes = figure.add_subplot()
    for way in ways:
        _line(axes, [places[stop] for stop in way], _LINE)
    for own, other in sorted(knots):
        _line(axes, [places[own], places[other]], _KNOT)
    packages = sorted({room.split(".")[0] for room in sizes})
    for room in sizes:
        tint = _TINTS[packages.index(room.split(".")[0]) % len(_TINTS)]
        axes.text(
            *places[room],
            f"{room.replace('.', ' / ')}\n{sizes[room]:,} lines",
            ha="center",
            va="center",
            fontsize=9,
            color=_INK,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": tint, "edgecolor": _LINE, "linewidth": 0.8},
        )
    axes.set_xlim(left - 0.55, right + 0.55)
    axes.set_ylim(-0.5, top + 0.5)
    axes.axis("off")
    figure.tight_layout(pad=0.3)
    with rc_context({"svg.hashsalt": "house"}):  # the same house is the same file
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _line(axes: Axes, stops: list[tuple[float, float]], colour: str) -> None:
    """Draw a line through its stops, from under the upper room to above the lower one."""
    (x, y), *between, (below, low) = stops
    points = [(x, y - 0.2), *(at for stop, level in between for at in ((stop, level + 0.25), (stop, level - 0.25)))]
    for start, end in pairwise(points):
        axes.plot(*zip(start, end, strict=True), color=colour, linewidth=0.9, zorder=0)
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(below, low + 0.22), xytext=points[-1], arrowprops=arrow)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(__file__).parent.parent / "src" / "gatework")
    parser.add_argument("--image", type=Path, help="where to draw it")
    parser.add_argument("--json", action="store_true", help="print rooms and imports")
    given = parser.parse_args()
    sizes, edges = read_rooms(given.source)
    if given.image:
        draw(sizes, edges, given.image)
    if given.json:
        _, knots = floors(sizes, edges)
        imports = {f"{own} -> {other}": count for (own, other), count in sorted(edges.items())}
        print(json.dumps({"lines": sizes, "imports": imports, "knots": sorted(knots)}, indent=1))


if __name__ == "__main__":
    main()
