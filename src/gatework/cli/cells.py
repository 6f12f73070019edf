"""``gatework cells``: list the cells."""

from rich.markup import escape

from gatework.cells import CELLS, LATENT, Cell
from gatework.cli.output import Json, Size, grid, out, print_json, program
from gatework.cli.parameters import fitting_sizes
from gatework.errors import SizeError


def list_cells(*, input_size: Size = 64, hidden_size: Size = 128, json: Json = False) -> None:
    """List the cells, with their sizes.

    Args:
        input_size: Number of input features, for the count of parameters.
        hidden_size: Number of hidden units, for the count of parameters.
        json: Print JSON, for programs.
    """
    listed = [_row(cell, input_size, hidden_size) for cell in (*CELLS.values(), *LATENT.values())]
    if json:
        print_json(listed)
        return
    columns = ("cell", "what it is", "year", "states", "parameters")
    console = out()
    console.print(grid(columns, [_shown(row, input_size) for row in listed], right=("year", "parameters")))
    console.print(f"Parameters for {input_size} inputs and {hidden_size} hidden units.")
    widened = [row["name"] for row in listed if _is_wider(row, input_size)]
    if widened:
        console.print(
            f"* {', '.join(widened)}: with {hidden_size} inputs, since x stands elementwise in the equations."
        )
    projected = {row["proj_size"]: row["name"] for row in listed if row["proj_size"]}
    for size, name in projected.items():
        console.print(f"* {name}: with an output of {size} units.")
    if any(row["parameters"] is None for row in listed):
        console.print("- This hidden size does not fit the cell; gatework show CELL --hidden-size N says why.")
    console.print(f"Next: [cyan]{escape(program())} show lstm[/cyan]", soft_wrap=True)


def _row(cell: Cell, input_size: int, hidden_size: int) -> dict:
    sizes = fitting_sizes(cell, input_size, hidden_size)
    try:
        count = cell.count(**sizes)
    except SizeError:  # hidden_size is not a multiple of the cell's blocks: a dash, explained below the table
        count = None
    return {
        "name": cell.name,
        "title": cell.title,
        "year": cell.year,
        "states": list(cell.states),
        "inputs": list(cell.inputs),
        "parameters": count,
        **{name: size for name, size in sizes.items() if name != "memory_size"},  # no cell of the list reads one
        "source": cell.source,
    }


def _is_wider(row: dict, input_size: int) -> bool:
    """Tell whether the cell needs inputs of another size; some read several."""
    given = row["input_size"]
    return any(size != input_size for size in (given if isinstance(given, tuple) else (given,)))


def _shown(row: dict, input_size: int) -> list[str]:
    special = _is_wider(row, input_size) or row["proj_size"] is not None
    count = "-" if row["parameters"] is None else f"{row['parameters']:,}{'*' if special else ' '}"
    return [row["name"], escape(row["title"]), str(row["year"] or ""), " ".join(row["states"]), count]
