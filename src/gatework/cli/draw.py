"""``gatework draw``: a picture of a cell, from its equations."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatework.cells import find_cell
from gatework.cli.output import Flag, Json, Size, out, print_json
from gatework.diagram import Picture, draw
from gatework.errors import ConfigError

Output = Annotated[Path | None, Parameter(name=("--output", "-o"))]
Other = Annotated[str | None, Parameter(name="--with")]


def draw_cell(
    cell: str,
    /,
    *,
    output: Output = None,
    kind: str = "cell",
    other: Other = None,
    steps: Size = 3,
    legend: Flag = False,
    dark: Flag = False,
    language: str = "en",
    scale: float = 2.0,
    apart: Flag = False,
    json: Json = False,
) -> None:
    """Draw a cell from its equations.

    Args:
        cell: A name (see `gatework cells`), or a .txt file of equations.
        output: The file, .svg or .png; by default the cell's name with .svg.
        kind: The kind of picture: cell, chain, walk, compare, line, memory, loop or unrolled.
        other: With --kind compare: the other cell.
        steps: With --kind chain or unrolled: the number of copies.
        legend: With --kind cell: the comments of the equations, below the picture.
        dark: Draw for a dark background.
        language: Language of the words: en, zh-Hans or zh-Hant.
        scale: For a PNG: pixels per unit of the picture; 4 for print.
        apart: With --kind walk: one file for each step, lstm-1.svg and so on, instead of one sheet.
        json: Print the picture's shapes as JSON, for programs; a file is then written only with -o.
    """
    chosen = find_cell(cell, files=True)
    picture = draw(
        chosen,
        kind,
        other=None if other is None else find_cell(other, files=True),
        steps=steps,
        legend=legend,
        dark=dark,
        language=language,
    )
    if apart and not picture.apart:
        raise ConfigError(f"--apart parts the sheet of --kind walk; a picture of the kind {kind} is one already.")
    written = []
    if output is not None or not json:
        written = _save(picture, output or Path(f"{chosen.name}.svg"), scale, apart)
    if json:
        print_json(picture.scene.to_dict())
    else:
        for path in written:
            out().print(f"Wrote {path}.", markup=False, soft_wrap=True)


def _save(picture: Picture, path: Path, scale: float, apart: bool) -> list[Path]:
    if not apart:
        return [picture.save(path, scale)]
    return [
        part.save(path.with_name(f"{path.stem}-{number}{path.suffix}"), scale)
        for number, part in enumerate(picture.parted(), 1)
    ]
