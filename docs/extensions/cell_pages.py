"""Write a page for every cell, its pictures, and the table of functions, from the equations, each time sphinx runs."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from gatework.cells import CELLS, LATENT, Cell, attend
from gatework.cli.parameters import fitting_sizes, parameter_table
from gatework.diagram import Picture, draw, notation_scene
from gatework.language import FUNCTIONS, Function, derive, show

INPUT_SIZE, HIDDEN_SIZE = 64, 128
EVERY: dict[str, Cell] = {**CELLS, **LATENT}
# Under a folder that is never in git, seen from the pages in cells/ and guide/.
PICTURES = "../_build/pictures"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    source = Path(app.srcdir)
    folder = source / "cells"
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.md": cell_page(cell) for name, cell in EVERY.items()}
    pages["index.md"] = index_page()
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        write(folder / name, text)
    drawn = folder / PICTURES
    drawn.mkdir(parents=True, exist_ok=True)
    for name, text in pictures().items():
        write(drawn / f"{name}.svg", text)
    write(source / "guide" / "_functions.md", function_table())


def write(path: Path, text: str) -> None:
    """Write a page only where it changed, so that sphinx rebuilds only what is new."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def pictures() -> dict[str, str]:
    """Draw every picture of the pages, on light and on dark paper, by the name of its file."""
    found = {}
    for dark in (False, True):
        paper = "dark" if dark else "light"
        drawn = {
            f"{name}-{kind}": draw(cell, kind, dark=dark) for name, cell in EVERY.items() for kind in ("cell", "walk")
        }
        drawn |= {f"lstm-{kind}": draw("lstm", kind, dark=dark) for kind in ("chain", "unrolled", "memory")}
        drawn["lstm-compare"] = draw("lstm", "compare", other="peephole", dark=dark)
        drawn["attended"] = draw(attend(CELLS["lstm"]), dark=dark)
        drawn["notation"] = Picture(notation_scene(), dark)
        found |= {f"{name}-{paper}": picture.svg() for name, picture in drawn.items()}
    return found


def image(name: str, description: str) -> str:
    """Show a picture as it suits the reader's paper."""
    return "\n\n".join(
        fence("{image} " + f"{PICTURES}/{name}-{paper}.svg", f":class: only-{paper}\n:alt: {description}")
        for paper in ("light", "dark")
    )


def index_page() -> str:
    rows = [
        [f"[`{name}`]({name}.md)", cell.title, str(cell.year or ""), ", ".join(cell.states), size_of(cell)]
        for name, cell in EVERY.items()
    ]
    return "\n".join(
        [
            "# Cells",
            "",
            "Each page is made from the equations of its cell, which are all that is written down. The same table on "
            "the command line: `gatework cells`.",
            "",
            table(["cell", "what it is", "year", "states", "parameters"], rows),
            "",
            f"Parameters for {INPUT_SIZE} inputs and {HIDDEN_SIZE} hidden units.",
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *EVERY,
            "```",
            "",
        ]
    )


def cell_page(cell: Cell) -> str:
    parts = [f"# `{cell.name}`: {cell.title}", f"*{cell.source}*"]
    if cell.notes:
        parts.append(cell.notes)
    parts += [
        image(f"{cell.name}-cell", f"One step of {cell.title}"),
        "Yellow boxes are learned layers, pink signs pointwise operations; [the notation](../guide/pictures.md).",
        "## Equations",
        fence("text", str(cell)),
        fence("{math}", cell.latex()),
        f"States: {', '.join(f'`{state}`' for state in cell.states)}; `{cell.states[0]}` is the output. "
        "In the text a name read above its own line is last step's value; in the formulas that is $t-1$.",
        "## Step by step",
        image(f"{cell.name}-walk", f"{cell.title}, step by step"),
        "## Parameters",
        parameters(cell),
    ]
    if cell.init:
        begins = ", ".join(f"`{name}` = {value}" for name, value in cell.init.items())
        parts += ["## Initial values", f"{begins}; everything else as the layer's `init` says."]
    parts += [
        "## Gradient",
        "Derived from the equations. It runs from the last step to the first: `grad_` arrives from outside, `back_` "
        "goes on to the step before, `_prev` is last step's value.",
        fence("text", show(derive(cell.step))),
        "## Use",
        fence("python", use(cell)),
    ]
    return "\n\n".join(parts) + "\n"


def use(cell: Cell) -> str:
    given = {name: size for name, size in fitting_sizes(cell, INPUT_SIZE, HIDDEN_SIZE).items() if size is not None}
    sizes = ", ".join(f"{name}={size}" for name, size in given.items())
    return f'import gatework\n\nlayer = gatework.Recurrent("{cell.name}", {sizes})'


def parameters(cell: Cell) -> str:
    sizes = fitting_sizes(cell, INPUT_SIZE, HIDDEN_SIZE)
    learned = parameter_table(cell, **sizes)
    rows = [
        [
            f"`{row['name']}`",
            f"`{row['equation']}`",
            row["role"] if row["structure"] == "dense" else f"{row['role']}, {row['structure'].replace('_', ' ')}",
            " × ".join(str(size) for size in row["shape"]),
            f"{row['count']:,}",
        ]
        for row in learned
    ]
    rows.append(["together", "", "", "", f"**{sum(row['count'] for row in learned):,}**"])
    projected = f" and an output of {sizes['proj_size']}" if sizes["proj_size"] else ""
    about = f"For {sizes['input_size']} inputs and {HIDDEN_SIZE} hidden units{projected}:"
    return f"{about}\n\n{table(['name', 'in the equation of', 'role', 'shape', 'numbers'], rows)}"


def size_of(cell: Cell) -> str:
    return f"{cell.count(**fitting_sizes(cell, INPUT_SIZE, HIDDEN_SIZE)):,}"


def function_table() -> str:
    rows = [
        [f"`{row.name}`", row.kind, f"$y = {formula(row)}$", interval(row), gradients(row)]
        for row in FUNCTIONS.values()
    ]
    head = ["function", "kind", "written on paper", "range", "gradient for its arguments"]
    return table(head, rows) + "\n"


def formula(row: Function) -> str:
    return row.latex.format(*"abc"[: row.arity])


def interval(row: Function) -> str:
    low, high = (f"{bound:g}".replace("inf", r"\infty") for bound in row.range)
    return f"${low}$ to ${high}$"


def gradients(row: Function) -> str:
    return ", ".join("none" if rule is None else f"`{rule}`" for rule in row.adjoints)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
