"""Routes as curves on paper: rounded corners, branches that leave in the direction of flow, bridges, arrowheads."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gatework.diagram.drawing.grid import ARROW, BRIDGE, HEAD_HALF, HEAD_LENGTH, RADIUS, SLOT_LEFT, Point
from gatework.diagram.drawing.paper import Paper
from gatework.diagram.drawing.route import Route, crossings
from gatework.diagram.drawing.scene import Command
from gatework.diagram.planning.graph import BANK, INPUT, OPERATION, Vertex
from gatework.diagram.planning.wiring import EXIT, JUNCTION, UP, Wiring

Place = tuple[float, float]
_Bridges = dict[int, list[Place]]  # by the route that passes under


@dataclass(frozen=True)
class Curve:
    """A route as it is drawn.

    Args:
        route: The route.
        path: Its own line, from the point where it leaves another line of the same vector.
        whole: The whole line, from the source of the vector.
        head: The tip and the direction of its arrow, if it has one.
        corners: The corners of its own line.
    """

    route: Route
    path: tuple[Command, ...]
    whole: tuple[Command, ...]
    head: tuple[float, float, float, float] | None
    corners: tuple[Place, ...]


def make_curves(wiring: Wiring, routes: Sequence[Route], paper: Paper) -> list[Curve]:
    """Turn routes into curves.

    Args:
        wiring: The wiring of a cell.
        routes: Its routes.
        paper: Where the grid lies.

    Returns:
        A curve for each route.
    """
    bridged: _Bridges = {}
    for point, _, upright in crossings(routes):
        bridged.setdefault(id(upright), []).append(paper.at(point))
    return [_curve(wiring, route, routes, paper, bridged) for route in routes]


def rounded(places: Sequence[Place], radius: float = RADIUS, forks: Collection[Place] = ()) -> tuple[Command, ...]:
    """Draw a line through places, with rounded corners.

    Args:
        places: Start, corners and end.
        radius: The radius of the corners. It is smaller where two corners are close together.
        forks: Places where other lines leave this one. A corner reaches at most halfway to them.

    Returns:
        A path.
    """
    corners = _without_straight(places)
    path: list[Command] = [("M", *corners[0])]
    last = len(corners) - 3
    for place, (before, corner, after) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        # Two corners share the piece between them.
        reach = min(
            radius,
            _length(before, corner) / (2 if place else 1),
            _length(corner, after) / (2 if place < last else 1),
            *(
                _length(corner, fork) / 2
                for fork in forks
                if _between(corner, fork, before) or _between(corner, fork, after)
            ),
        )
        path.append(("L", *_toward(corner, before, reach)))
        path.append(("Q", *corner, *_toward(corner, after, reach)))
    path.append(("L", *corners[-1]))
    return tuple(path)


def arrowhead(head: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    """Return the three corners of an arrowhead.

    Args:
        head: Its tip, and the direction it points in.

    Returns:
        The corners, the tip first.
    """
    x, y, dx, dy = head
    back = (x - dx * HEAD_LENGTH, y - dy * HEAD_LENGTH)
    return [
        (x, y),
        (back[0] - dy * HEAD_HALF, back[1] + dx * HEAD_HALF),
        (back[0] + dy * HEAD_HALF, back[1] - dx * HEAD_HALF),
    ]


def _between(one: Place, place: Place, other: Place) -> bool:
    """Return whether a place lies on a straight piece, after its beginning."""
    return one != place and abs(_length(one, place) + _length(place, other) - _length(one, other)) < 0.01


def _curve(wiring: Wiring, route: Route, routes: Sequence[Route], paper: Paper, bridges: _Bridges) -> Curve:
    own = _placed(route, route.points, routes, paper)
    whole = _placed(route, _whole_way(route, routes), routes, paper)
    head = None
    if _has_head(wiring, route):
        tip, before = own[-1], _without_straight(own)[-2]
        length = _length(before, tip)
        across, down = (tip[0] - before[0]) / length, (tip[1] - before[1]) / length
        head = (*tip, across, down)
        own[-1] = whole[-1] = (tip[0] - across * ARROW * 0.8, tip[1] - down * ARROW * 0.8)
    family = [other for other in routes if other.source is route.source]
    forks = [paper.at(other.points[0]) for other in family if other.points[0] != _origin(routes, route.source)]
    broken = _broken(own, bridges.get(id(route), ()))
    path = tuple(command for piece in broken for command in rounded(piece, forks=forks))
    under = [place for other in family for place in bridges.get(id(other), ())]
    whole_path = tuple(command for piece in _broken(whole, under) for command in rounded(piece, forks=forks))
    return Curve(route, path, whole_path, head, tuple(_without_straight(own)))


def _placed(route: Route, points: Sequence[Point], routes: Sequence[Route], paper: Paper) -> list[Place]:
    """Place a route on paper. Its ends are clipped at signs, or bent into the lines that they leave and join."""
    places = [paper.at(point) for point in _corners(points)]
    places[-1] = _clipped(paper, route.target, places[-1], places[-2])
    if points[0] == _origin(routes, route.source):
        places[0] = _clipped(paper, route.source, places[0], places[1])
        if route.source.kind == JUNCTION and not _comes_straight(points, route.source, routes):
            places[0] = _bent_to(places[0], places[1])
    else:
        flow = _flow_into(points[0], route, routes)
        if flow is not None:
            # A branch leaves in the direction of its vector's flow, before the other line may turn away.
            places.insert(0, _bent_to(places[0], paper.at(flow)))
    if route.target.kind == JUNCTION:
        onward = next((other for other in routes if other.source is route.target), None)
        if onward is not None:
            places.append(_bent_to(places[-1], paper.at(_corners(onward.points)[1])))
    return places


def _whole_way(route: Route, routes: Sequence[Route]) -> tuple[Point, ...]:
    """Follow a vector from its source to the end of one of its branches."""
    points = route.points
    origin = _origin(routes, route.source)
    family = [other for other in routes if other.source is route.source]
    while points[0] != origin:
        before = next(other.points for other in family if points[0] in other.points[1:])
        points = (*before[: before.index(points[0])], *points)
    return points


def _has_head(wiring: Wiring, route: Route) -> bool:
    """Return whether a line ends in an arrow: at an exit, on a state's line, or where it arrives around a corner."""
    if route.target.kind in (EXIT, UP):
        return True
    if route.target.kind != OPERATION:
        return False
    line = wiring.on_line(route.target)
    if line:
        return not (wiring.on_line(route.source) == line or route.source is wiring.graph.previous[line])
    straight_up = len({x for x, _ in route.points}) == 1
    return not straight_up


def _origin(routes: Sequence[Route], source: Vertex) -> Point:
    return next(route.points[0] for route in routes if route.source is source)


def _flow_into(point: Point, branch: Route, routes: Sequence[Route]) -> Point | None:
    """Return the last corner of a vector before one of its branches begins."""
    for other in routes:
        if other.source is branch.source and other is not branch and point in other.points[1:]:
            return _corners(other.points[: other.points.index(point) + 1])[-2]
    return None


def _comes_straight(points: Sequence[Point], junction: Vertex, routes: Sequence[Route]) -> bool:
    """Return whether one of the vectors at a junction goes straight on. If none does, all arrive in curves."""
    (x, y), (u, v) = points[:2]
    return any(other.target is junction and other.points[-2] == (2 * x - u, 2 * y - v) for other in routes)


def _clipped(paper: Paper, vertex: Vertex, place: Place, neighbour: Place) -> Place:
    """Move the end of a line from the middle of a sign to its edge."""
    width, height = paper.sizes[vertex]
    if not width or vertex.kind in (INPUT, UP):
        return place  # a disc stands beyond the end of its line
    if vertex.kind == BANK:
        return (SLOT_LEFT + width, place[1])  # a stack stands at the left edge
    if abs(neighbour[0] - place[0]) > abs(neighbour[1] - place[1]):
        centre = place[0]
        return (centre + (width / 2 if neighbour[0] > centre else -width / 2), place[1])
    return (place[0], place[1] + (height / 2 if neighbour[1] > place[1] else -height / 2))


def _broken(places: Sequence[Place], bridges: Iterable[Place]) -> list[list[Place]]:
    """Break a line where it passes under others."""
    corners = _without_straight(places)
    pieces: list[list[Place]] = [[corners[0]]]
    for start, end in pairwise(corners):
        low, high = sorted((start[1], end[1]))
        on_way = [bridge for bridge in bridges if start[0] == end[0] == bridge[0] and low < bridge[1] < high]
        down = 1.0 if end[1] > start[1] else -1.0
        for _, level in sorted(on_way, key=lambda bridge: down * bridge[1]):
            pieces[-1].append((start[0], level - down * BRIDGE))
            pieces.append([(start[0], level + down * BRIDGE)])
        pieces[-1].append(end)
    return pieces


def _without_straight(places: Sequence[Place]) -> list[Place]:
    """Leave out the places inside straight pieces."""
    kept = [places[0]]
    for place, after in zip(places[1:], [*places[2:], None], strict=True):
        if _length(kept[-1], place) < 0.01:
            continue
        if after is not None and (kept[-1][0] == place[0] == after[0] or kept[-1][1] == place[1] == after[1]):
            continue
        kept.append(place)
    return kept if len(kept) > 1 else [places[0], places[-1]]


def _corners(points: Sequence[Point]) -> list[Point]:
    """Keep the two ends of a route and its corners. The points between have no place of their own on paper."""
    turns = zip(points, points[1:], points[2:], strict=False)
    return [points[0], *(b for a, b, c in turns if a[0] != c[0] and a[1] != c[1]), points[-1]]


def _bent_to(place: Place, corner: Place) -> Place:
    """Go toward a corner, as far as a bend at this place may reach."""
    return _toward(place, corner, min(RADIUS, _length(place, corner) / 2))


def _toward(place: Place, other: Place, length: float) -> Place:
    distance = _length(place, other) or 1.0
    share = min(1.0, length / distance)
    return (place[0] + (other[0] - place[0]) * share, place[1] + (other[1] - place[1]) * share)


def _length(one: Place, other: Place) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])
