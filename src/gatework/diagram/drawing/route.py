"""Routing: a path along the grid from every vector to each of its readers.

The grid is symbolic; its lines get their places on paper later. Bends and crossings have a cost, two vectors never
share a path, and a branch starts as late as it can. After a first round, each vector is routed again among the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from math import inf

from gatework.diagram.drawing.grid import DIRECTIONS, DOWN, LEFT, RIGHT, ROW, UPWARD, Point, middle
from gatework.diagram.planning.arrange import Arrangement
from gatework.diagram.planning.graph import BANK, INPUT, LAYER, STATE, Vertex
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring
from gatework.errors import CellError

_BEND, _CROSSING, _DETOUR = 2.6, 9.0, 40.0
_ROUNDS = 6  # of improving each vector among the others
_ROUNDING = 1e-6  # of costs that are summed in another order
_OPPOSITE = {RIGHT: LEFT, LEFT: RIGHT, DOWN: UPWARD, UPWARD: DOWN}
_Connection = tuple[Vertex, Vertex, int]


@dataclass(frozen=True)
class Route:
    """The path of a vector to one reader, point by point. It starts at the vertex, or at a fork of another path."""

    source: Vertex
    target: Vertex
    index: int  # which input of the target
    points: tuple[Point, ...]


def route(wiring: Wiring, arrangement: Arrangement) -> tuple[Route, ...]:
    """Route every vector to its readers.

    Args:
        wiring: The wiring of a cell.
        arrangement: The places of its vertices.

    Returns:
        A route for every input of every vertex.

    Raises:
        CellError: If there is no room for the lines.
    """
    router = _Router(wiring, arrangement)
    connections = router.in_order()
    # A vector that finds no path among the others is routed before them.
    for _ in range(len(connections)):
        blocked = next((connection for connection in connections if not router.connect(*connection)), None)
        if blocked is None:
            break
        connections.remove(blocked)
        connections.insert(0, blocked)
        router = _Router(wiring, arrangement)
    else:
        raise CellError("This cell has more lines beside one another than a picture can hold.")
    own: dict[Vertex, list[_Connection]] = {}
    for connection in connections:
        own.setdefault(connection[0], []).append(connection)
    tried: dict[Vertex, int] = {}  # the number of changes that each attempt has seen
    for _ in range(_ROUNDS):
        for source, wanted in own.items():
            # Among the same lines, a second attempt would end as the first did.
            if tried.get(source) != router.changes:
                router.improve(source, wanted)
                tried[source] = router.changes
    return tuple(one for routes in router.routes.values() for one in routes)


def crossings(routes: Iterable[Route]) -> list[tuple[Point, Route, Route]]:
    """Find where the lines of two vectors cross.

    Args:
        routes: All routes of a picture.

    Returns:
        For each crossing the point, the route that runs level, and the one that runs upright.
    """
    level: dict[Point, Route] = {}
    upright: dict[Point, Route] = {}
    for one in routes:
        for before, point, after in zip(one.points, one.points[1:], one.points[2:], strict=False):
            if before[1] == after[1]:
                level[point] = one
            elif before[0] == after[0]:
                upright[point] = one
    shared = level.keys() & upright.keys()
    return [(p, level[p], upright[p]) for p in sorted(shared) if level[p].source is not upright[p].source]


@dataclass
class _Tree:
    """The paths of one vector so far: for each point, the points next to it."""

    edges: dict[Point, set[Point]] = field(default_factory=dict)

    def add(self, points: Iterable[Point]) -> None:
        path = list(points)
        for one, other in pairwise(path):
            self.edges.setdefault(one, set()).add(other)
            self.edges.setdefault(other, set()).add(one)


class _Goal:
    """The ends that a path may have, and what the way to them costs at least."""

    def __init__(self, ends: set[tuple[Point, Point]]) -> None:
        self.ends = ends
        self._known: dict[Point, float] = {}

    def least(self, point: Point) -> float:
        """Return the cost of the way from a point if nothing stood between."""
        least = self._known.get(point)
        if least is None:
            least = self._known[point] = min(_unhindered(point, end, arriving) for end, arriving in self.ends)
        return least


def _unhindered(point: Point, end: Point, arriving: Point) -> float:
    """Return the cost of the way from a point to an end on an empty grid, in any direction at first."""
    x, y = end[0] - arriving[0] - point[0], end[1] - arriving[1] - point[1]  # to the point before the end
    ahead, aside = (x * arriving[0], y) if arriving[0] else (y * arriving[1], x)
    length = abs(x) + abs(y) + 1
    if ahead >= 0:
        return length + (_BEND if aside else 0.0)
    return length + (2 * _BEND if aside else 3 * _BEND + 2)  # around the end


class _Router:
    """The grid, with the lines that are already on it."""

    def __init__(self, wiring: Wiring, arrangement: Arrangement) -> None:
        self.wiring, self.arrangement = wiring, arrangement
        # A line may turn inside the frame only. Outside, it runs straight in or out.
        self.right, self.ground = middle(arrangement.columns - 1, len(arrangement.rows) - 1)
        self.trees: dict[Vertex, _Tree] = {}
        self.passing: dict[Point, list[Vertex]] = {}  # the vectors whose lines a point lies on
        self.changes = 0  # how many attempts to improve have changed something
        self.routes: dict[Vertex, list[Route]] = {}
        self.at = {vertex: middle(*place) for vertex, place in arrangement.places.items()}
        self.solid = {point: vertex for vertex in self.at for point in self._body(vertex)}

    def in_order(self) -> list[_Connection]:
        """List the connections to make: lines of states first, then straight ones, then from near to far."""
        connections = [
            (below, vertex, index)
            for vertex in self.wiring.vertices
            for index, below in enumerate(self.wiring.inputs[vertex])
        ]
        return sorted(connections, key=lambda connection: self._rank(connection[0], connection[1]))

    def connect(self, source: Vertex, target: Vertex, index: int) -> bool:
        """Route a vector to one more reader, and return whether there was a path."""
        points = self._search(source, target, index)
        if points:
            tree = self.trees.setdefault(source, _Tree())
            new = [point for point in points if point not in tree.edges]
            tree.add(points)
            for point in new:
                self.passing.setdefault(point, []).append(source)
            self.routes.setdefault(source, []).append(Route(source, target, index, tuple(points)))
        return bool(points)

    def improve(self, source: Vertex, connections: list[_Connection]) -> None:
        """Remove all paths of a vector and route it again; keep the old paths if they were better."""
        old_cost = self._cost(source)
        old_tree, old_routes = self._removed(source)
        # All connections in turn. The attempt ends at the first one without a path.
        if all(self.connect(*connection) for connection in connections) and self._cost(source) < old_cost:
            self.changes += 1
            return
        self._removed(source)
        self.trees[source], self.routes[source] = old_tree, old_routes
        for point in old_tree.edges:
            self.passing.setdefault(point, []).append(source)

    def _removed(self, source: Vertex) -> tuple[_Tree, list[Route]]:
        """Take all paths of a vector off the grid, and return them."""
        tree = self.trees.pop(source, _Tree())
        for point in tree.edges:
            self.passing[point].remove(source)
        return tree, self.routes.pop(source, [])

    def _rank(self, source: Vertex, target: Vertex) -> tuple[float, ...]:
        (x, y), (u, v) = self.at[source], self.at[target]
        line = self.wiring.on_line(target)
        along = bool(line) and (self.wiring.on_line(source) == line or source is self.wiring.graph.previous[line])
        leaving = target.kind == EXIT and self.wiring.on_line(source) == target.names[0]
        straight = x == u and abs(y - v) < 3 * ROW and source.kind != JUNCTION
        first = 0 if along or leaving else 1 if straight else 2 if source.kind == JUNCTION else 3
        if target.kind in (EXIT, UP) and first:
            first = 5 if target.kind == UP else 4
        # A bus goes to its end first, so that the stems before it branch off a straight line.
        return (first, (abs(x - u) + abs(y - v)) * (-1 if source.kind == JUNCTION else 1))

    def _cost(self, source: Vertex) -> float:
        total, crossed = 0.0, set()
        for one in self.routes[source]:
            path = one.points
            total += len(path)
            total += _DETOUR if one.target.kind == UP and path[0][0] != path[1][0] else 0
            for before, point, after in zip(path, path[1:], path[2:], strict=False):
                if before[0] != after[0] and before[1] != after[1]:
                    total += _BEND
                elif _crosses(self._neighbours(point, source), point, (point[0] - before[0], point[1] - before[1])):
                    crossed.add(point)
        return total + len(crossed) * _CROSSING

    def _neighbours(self, point: Point, source: Vertex) -> set[Point]:
        """Return the points next to a point on the lines of other vectors; empty where none of them passes."""
        others = [self.trees[vertex].edges[point] for vertex in self.passing.get(point, ()) if vertex is not source]
        return others[0] if len(others) == 1 else set().union(*others)

    def _body(self, vertex: Vertex) -> Iterator[Point]:
        x, y = self.at[vertex]
        yield (x, y)
        if vertex.kind not in (JUNCTION, INPUT, EXIT, UP, STATE, BANK):
            yield (x - 1, y)
            yield (x + 1, y)

    def _ends(self, vertex: Vertex) -> set[tuple[Point, Point]]:
        """Return the points at which a line may arrive, each with its direction."""
        x, y = self.at[vertex]
        if vertex.kind == LAYER:
            direction = DOWN if vertex in self.wiring.hanging else UPWARD
            ports = [(x, y)] if len(self.wiring.inputs[vertex]) == 1 else [(x, y), (x - 1, y), (x + 1, y)]
            return {(port, direction) for port in ports if not self._is_used(port, direction)}
        if vertex.kind == EXIT:
            return {((x, y), RIGHT)}
        if vertex.kind == UP:
            return {((x, y), UPWARD)}
        return {((x, y), direction) for direction in DIRECTIONS if not self._is_used((x, y), direction)}

    def _is_used(self, port: Point, arriving: Point) -> bool:
        """Return whether a line already arrives at a port in this direction."""
        neighbour = (port[0] - arriving[0], port[1] - arriving[1])
        return any(neighbour in self.trees[vertex].edges[port] for vertex in self.passing.get(port, ()))

    def _allowed(self, source: Vertex, target: Vertex, index: int) -> set[tuple[Point, Point]]:
        """Return the ends of a target that this source may use for one of the target's inputs."""
        ends = self._ends(target)
        line = self.wiring.on_line(target)
        if line:
            along = self.wiring.on_line(source) == line or source is self.wiring.graph.previous[line]
            own = self.wiring.lines[line]
            before = own[own.index(target) - 1] if own.index(target) else self.wiring.graph.previous[line]
            straight = {end for end in ends if end[1] == RIGHT}
            if along and source is before and straight:
                return straight
            ends = {end for end in ends if end[1] in (DOWN, UPWARD)}
        if target.kind == LAYER and len(self.wiring.inputs[target]) > 1 and target not in self.wiring.hanging:
            middle_end = {end for end in ends if end[0] == self.at[target]}
            return middle_end if index == 0 else ends - middle_end
        return ends

    def _starts(self, source: Vertex) -> Iterator[tuple[Point, Point]]:
        """Yield the points where a new path of a vector may begin, each with its direction."""
        tree = self.trees.get(source)
        if tree is None:
            for direction in self._departures(source):
                yield self.at[source], direction
            return
        for point, neighbours in tree.edges.items():
            if point in self.solid or self.passing[point] != [source] or not self._is_inside(point):
                continue
            for direction in DIRECTIONS:
                if (point[0] + direction[0], point[1] + direction[1]) not in neighbours:
                    yield point, direction

    def _departures(self, source: Vertex) -> tuple[Point, ...]:
        if source.kind == LAYER:
            return (DOWN,) if source in self.wiring.hanging else (UPWARD,)
        if source.kind == INPUT:
            return (UPWARD,)
        if source.kind in (STATE, BANK) or self.wiring.on_line(source):
            return (RIGHT,)
        return tuple(d for d in DIRECTIONS if not self._is_used(self.at[source], (-d[0], -d[1])))

    def _search(self, source: Vertex, target: Vertex, index: int) -> list[Point]:
        """Find the cheapest path, and of equally cheap ones the first that a search in all directions meets.

        The first search goes toward the target and finds what a path costs. The second one looks in all directions, and
        that cost tells it where no cheapest path can pass.
        """
        ends = self._allowed(source, target, index)
        starts = list(self._starts(source))
        if not ends or not starts:
            return []
        goal = _Goal(ends)
        _, cost = self._walked(source, target, starts, goal, None)
        return self._walked(source, target, starts, goal, cost)[0] if cost < inf else []

    def _walked(
        self,
        source: Vertex,
        target: Vertex,
        starts: Sequence[tuple[Point, Point]],
        goal: "_Goal",
        most: float | None,
    ) -> tuple[list[Point], float]:
        """Search toward the target, or in all directions within a cost. Return the path and its cost."""
        own = self.trees[source].edges if source in self.trees else {}
        queue: list[tuple[float, int, float, Point, Point]] = []
        came: dict[tuple[Point, Point], tuple[Point, Point] | None] = {}
        best: dict[tuple[Point, Point], float] = {}
        counter, limit = 0, inf if most is None else most + _ROUNDING
        for point, direction in starts:
            # A path that goes down at the side and up again looks like a detour, however short it is.
            upright = {(point[0], point[1] - 1), (point[0], point[1] + 1)} <= own.get(point, set())
            best[point, direction] = cost = _DETOUR if upright and target.kind == UP else 0.0
            came[point, direction] = None
            whole = cost + goal.least(point)
            if whole <= limit:
                queue.append((whole if most is None else cost, counter, cost, point, direction))
                counter += 1
        queue.sort()
        # A sign's own line may run level through the space beside the sign. It enters and leaves a layer upright.
        free = {p for v in (source, target) if v.kind != LAYER for p in self._body(v) if p != self.at[v]}
        right, ground, ends, solid, passing = self.right - 1, self.ground, goal.ends, self.solid, self.passing
        while queue:
            _, _, cost, point, direction = heappop(queue)
            if cost > best[point, direction]:
                continue
            onward = (point[0] + direction[0], point[1] + direction[1])
            if (onward, direction) in ends:
                return self._path(came, (point, direction), onward), cost + 1
            inside = 2 < onward[0] < right and 0 < onward[1] < ground  # as in _is_inside, a million times
            if onward in own or not (inside or self._is_inside(point) or point == self.at[source]):
                continue
            if onward in solid and (onward not in free or direction[1]):
                continue
            others = self._neighbours(onward, source) if onward in passing else None
            if others and not _crosses(others, onward, direction):
                continue
            opposite = _OPPOSITE[direction]
            step, left = cost + 1 + (_CROSSING if others else 0), goal.least(onward)
            if step + left > limit:
                continue
            turns = (direction,) if others or onward in solid or not inside else DIRECTIONS
            for turn in turns:
                total = step if turn is direction else step + _BEND
                if total + left <= limit and total < best.get((onward, turn), inf) and turn is not opposite:
                    best[onward, turn] = total
                    came[onward, turn] = (point, direction)
                    counter += 1
                    heappush(queue, (total + left if most is None else total, counter, total, onward, turn))
        return [], inf

    def _is_inside(self, point: Point) -> bool:
        return 2 < point[0] < self.right - 1 and 0 < point[1] < self.ground

    @staticmethod
    def _path(
        came: Mapping[tuple[Point, Point], tuple[Point, Point] | None], last: tuple[Point, Point], end: Point
    ) -> list[Point]:
        path = [end]
        state: tuple[Point, Point] | None = last
        while state is not None:
            path.append(state[0])
            state = came[state]
        return path[::-1]


def _crosses(neighbours: set[Point], point: Point, direction: Point) -> bool:
    """Return whether a line in this direction crosses the line at a point at a right angle."""
    x, y = point
    across = {(x, y - 1), (x, y + 1)} if direction[1] == 0 else {(x - 1, y), (x + 1, y)}
    return neighbours == across
