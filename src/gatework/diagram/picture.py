"""The entry point: from a cell in any form and a kind of picture to the picture."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gatework.cells import Cell, find_cell
from gatework.diagram.drawing.scene import Scene, sheet
from gatework.diagram.kinds.cell import cell_scene, with_legend
from gatework.diagram.kinds.chain import chain_scene, loop_and_chain_scene, loop_scene
from gatework.diagram.kinds.compare import compare_scene
from gatework.diagram.kinds.line import line_scene
from gatework.diagram.kinds.memory import memory_scene
from gatework.diagram.kinds.walk import walk_scenes
from gatework.diagram.rendering.raster import png
from gatework.diagram.rendering.svg import svg
from gatework.diagram.rendering.theme import DARK, LIGHT, Theme
from gatework.errors import CellError, ConfigError
from gatework.translations import check_language, word

STEPS = 3
_COPIES = ("chain", "unrolled")
SUFFIXES = (".svg", ".png")


@dataclass(frozen=True)
class Picture:
    """A picture of a cell, which a notebook shows by itself.

    Args:
        scene: Its shapes, without colours.
        dark: Whether it is for a dark background.
        apart: The separate pictures, if it is a sheet of several.

    Example:
        >>> picture = draw("lstm")
        >>> picture.svg().startswith("<svg"), picture.scene.title
        (True, 'One step of LSTM')
        >>> picture
        <Picture 'One step of LSTM', 550 x 452, light>
    """

    scene: Scene
    dark: bool = False
    apart: tuple[Scene, ...] = ()

    def __repr__(self) -> str:
        paper = "dark" if self.dark else "light"
        return f"<Picture {self.scene.title!r}, {self.scene.width:.0f} x {self.scene.height:.0f}, {paper}>"

    @property
    def theme(self) -> Theme:
        """The colours it is drawn in."""
        return DARK if self.dark else LIGHT

    def svg(self) -> str:
        """Write the picture as SVG.

        Returns:
            The text of the file. The background is transparent.
        """
        return svg(self.scene, self.theme)

    def png(self, path: str | os.PathLike[str], scale: float = 2.0) -> Path:
        """Write the picture as PNG.

        Args:
            path: The file.
            scale: Pixels of the PNG per pixel of the scene; 2 is sharp on every screen, 4 in print.

        Returns:
            The file.

        Raises:
            ConfigError: If the scale is not above 0, or if there is no font for Chinese words.
        """
        return _written(Path(path), png(self.scene, self.theme, scale))

    def save(self, path: str | os.PathLike[str], scale: float = 2.0) -> Path:
        """Write the picture to a file, as SVG or PNG by the file's name.

        Args:
            path: A file that ends in ``.svg`` or ``.png``.
            scale: For a PNG, as in :meth:`png`.

        Returns:
            The file.

        Raises:
            ConfigError: For any other ending, and as :meth:`png` says.
        """
        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(
                f"The picture '{path}' is of no known kind; its name must end in {' or '.join(SUFFIXES)}."
            )
        if path.suffix.lower() == ".png":
            return self.png(path, scale)
        return _written(path, self.svg().encode())

    def parted(self) -> "tuple[Picture, ...]":
        """Return the separate pictures of a sheet. A single picture returns itself."""
        return tuple(Picture(scene, self.dark) for scene in self.apart) or (self,)

    def _repr_svg_(self) -> str:
        return self.svg()


class _Request(NamedTuple):
    """A request for a picture."""

    cell: Cell
    other: Cell | None
    steps: int
    language: str
    legend: bool


def _cell(request: _Request) -> tuple[Scene, ...]:
    scene = cell_scene(request.cell, request.language)
    return (with_legend(scene, request.cell) if request.legend else scene,)


def _walk(request: _Request) -> tuple[Scene, ...]:
    scenes = walk_scenes(request.cell, request.language)
    return (sheet(scenes, word("walk of", request.language, request.cell.title)), *scenes)


def _compare(request: _Request) -> tuple[Scene, ...]:
    if request.other is None:
        raise ConfigError("A comparison needs a second cell: other='gru', say (--with gru on the command line).")
    return (compare_scene(request.cell, request.other, request.language),)


# The function that draws each kind: it returns the scene, and the separate scenes of a sheet.
_KINDS: dict[str, Callable[[_Request], tuple[Scene, ...]]] = {
    "cell": _cell,
    "chain": lambda request: (chain_scene(request.cell, request.steps, request.language),),
    "walk": _walk,
    "compare": _compare,
    "line": lambda request: (line_scene(request.cell, request.language),),
    "memory": lambda request: (memory_scene(request.cell, request.language),),
    "loop": lambda request: (loop_scene(request.cell, request.language),),
    "unrolled": lambda request: (loop_and_chain_scene(request.cell, request.steps, request.language),),
}
KINDS = tuple(_KINDS)


def draw(
    cell: Any,
    kind: str = "cell",
    *,
    other: Any = None,
    steps: int = STEPS,
    legend: bool = False,
    dark: bool = False,
    language: str = "en",
) -> Picture:
    """Draw a cell from its equations, in the notation of the essay "Understanding LSTM Networks".

    Yellow boxes are learned layers, pink circles pointwise operations. A line carries a vector; lines that merge are
    concatenated, and a line that forks is copied. A carried state runs straight along the top.

    Args:
        cell: A name in ``gatework.CELLS``, a :class:`gatework.Cell`, equations as text, or a layer.
        kind: ``cell``: one step. ``chain``: unrolled over steps. ``walk``: a sheet with one picture for each stage of
            the equations, with its path highlighted and its equations beside it. ``compare``: beside another cell, with
            the differences highlighted. ``line``: the state's line alone. ``memory``: the state as a sum with a loop.
            ``loop`` and ``unrolled``: the cell as a plain box, and beside it the chain that the box stands for.
        other: The other cell, for ``compare`` alone.
        steps: The number of copies, for ``chain`` and ``unrolled`` alone.
        legend: Whether a legend with the comments of the equations stands below, for ``cell`` alone.
        dark: Whether it is for a dark background.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The picture: ``save(path)``, ``svg()``, ``png(path, scale)``, and its shapes as plain data, ``scene``.

    Raises:
        CellError: If the cell is unknown, or has no picture of this kind.
        EquationError: If the equations cannot be read.
        ConfigError: If the kind or the language is unknown, if that many steps do not fit on a page, or if this kind of
            picture does not use an option.

    Source:
        Olah 2015, Understanding LSTM Networks.

    Example:
        >>> draw("gru_v3", "walk").scene.title
        'GRU, reset before the product, step by step'
        >>> mine = draw("h = tanh(W @ x + R @ h + b)  # hidden state")
        >>> [shape["quantity"] for shape in mine.scene.to_dict()["shapes"] if shape["kind"] == "box"]
        ['h']
    """
    if kind not in _KINDS:
        raise ConfigError(f"There is no picture of the kind {kind!r}; the kinds are {', '.join(KINDS)}.")
    check_language(language)
    _check_options(kind, other, steps, legend)
    request = _Request(_read(cell), None if other is None else _read(other), steps, language, legend)
    scene, *apart = _KINDS[kind](request)
    return Picture(scene, dark, tuple(apart))


def _check_options(kind: str, other: Any, steps: int, legend: bool) -> None:
    """Refuse options that a kind of picture does not use."""
    if legend and kind != "cell":
        raise ConfigError(f"A legend stands below a picture of the kind 'cell'; this one is of the kind {kind!r}.")
    if other is not None and kind != "compare":
        raise ConfigError(
            f"A second cell (other=, --with) is for a picture of the kind 'compare'; this one is of the kind {kind!r}."
        )
    # The default is accepted for every kind: the command line passes it if the user passes nothing.
    if kind not in _COPIES and (isinstance(steps, bool) or steps != STEPS):
        raise ConfigError(
            f"A number of steps is for pictures of the kinds {' and '.join(map(repr, _COPIES))}; "
            f"this one is of the kind {kind!r}."
        )


def _read(given: Any) -> Cell:
    """Find the given cell. A layer stands for its cell."""
    inner = getattr(given, "cell", given)
    if isinstance(inner, Cell):
        return inner
    if isinstance(given, str):
        return find_cell(given)
    raise CellError(
        f"A {type(given).__name__} is no cell; expected a name, a gatework.Cell, equations as text, or a layer."
    )


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
