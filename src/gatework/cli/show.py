"""``gatework show``: a cell's equations, parameters and source."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from gatework.cells import Cell, find_cell
from gatework.cli.app import part
from gatework.cli.output import Flag, Json, Size, grid, out, print_json
from gatework.cli.parameters import fitting_sizes, parameter_table
from gatework.errors import ConfigError
from gatework.language import derive, latex_adjoint, show


def show_cell(
    cell: str,
    /,
    *,
    input_size: Size | None = None,
    hidden_size: Size = 128,
    proj_size: Size | None = None,
    memory_size: Size = 64,
    latex: Flag = False,
    adjoint: Flag = False,
    plan: Flag = False,
    kernel: Flag = False,
    backward: Flag = False,
    assembly: Flag = False,
    json: Json = False,
) -> None:
    """Show a cell: equations, parameters, source.

    Args:
        cell: A name (see `gatework cells`), or a file of equations.
        input_size: Units of each input, for the parameter table; by default 64, or what the equations need.
        hidden_size: Units of the state, for the parameter table.
        proj_size: Units of the output, where the cell projects it; by default half of the hidden size.
        memory_size: Size of the vectors of a memory, where the equations leave it open.
        latex: Print the equations as LaTeX; with --adjoint, those of the gradient.
        adjoint: Print the equations of the gradient, last step to first.
        plan: Print the plans of its kernels: what is hoisted out of time, what each step does, what is kept.
        kernel: Print the code of its kernel for this machine, as LLVM takes it.
        backward: With --plan or --kernel: those of the gradient.
        assembly: With --kernel: the machine code.
        json: Print JSON, for programs.
    """
    if (backward and not (plan or kernel)) or (assembly and not kernel) or (plan and kernel):
        raise ConfigError(
            "--plan and --kernel are shown one at a time; --backward goes with either, and --assembly with --kernel."
        )
    if plan:
        part("show-plan")(cell, backward=backward, json=json)
        return
    if kernel:
        part("show-kernel")(cell, backward=backward, assembly=assembly, json=json)
        return
    chosen = find_cell(cell, files=True)
    console = out()
    sizes = fitting_sizes(chosen, input_size or 64, hidden_size, proj_size, memory_size)
    if input_size is not None:
        several = sizes["input_size"]
        sizes["input_size"] = (input_size, *several[1:]) if isinstance(several, tuple) else input_size
    if json:
        print_json(_described(chosen, parameter_table(chosen, **sizes)))
    elif latex:
        console.out(latex_adjoint(chosen.step) if adjoint else chosen.latex(), highlight=False)
    elif adjoint:
        console.out(show(derive(chosen.step)), highlight=False)
    else:
        _print(console, chosen, parameter_table(chosen, **sizes))


def _described(cell: Cell, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": cell.name,
        "title": cell.title,
        "year": cell.year,
        "source": cell.source,
        "states": list(cell.states),
        "inputs": list(cell.inputs),
        "outputs": list(cell.outputs),
        "sizes": list(cell.own_sizes),
        "memories": list(cell.memories),
        "equations": str(cell),
        "latex": cell.latex(),
        "adjoint": show(derive(cell.step)),
        "init": dict(cell.init),
        "notes": cell.notes,
        "parameters": parameters,
        "count": sum(parameter["count"] for parameter in parameters),
    }


def _print(console: Console, cell: Cell, parameters: list[dict[str, Any]]) -> None:
    title = f": {escape(cell.title)}" if cell.title != cell.name else ""
    console.print(f"[bold]{escape(cell.name)}[/bold]{title}", soft_wrap=True)
    if cell.source:
        console.print(f"[dim]{escape(cell.source)}[/dim]")
    console.print()
    for line in str(cell).splitlines():
        code, hash_sign, comment = line.partition("#")
        console.print(f"  {escape(code)}[green]{escape(hash_sign + comment)}[/green]", soft_wrap=True)
    console.print()
    comments = {equation.target: equation.comment for equation in cell.step.equations}
    rows = []
    for target in dict.fromkeys(parameter["equation"] for parameter in parameters):
        own = [parameter for parameter in parameters if parameter["equation"] == target]
        shapes = "   ".join(f"{parameter['name']} {_shape(parameter)}" for parameter in own)
        rows.append([target, escape(comments[target]), escape(shapes), f"{sum(p['count'] for p in own):,}"])
    if rows:
        total = sum(parameter["count"] for parameter in parameters)
        rows.append(["", "", "[bold]together[/bold]", f"[bold]{total:,}[/bold]"])
        console.print(grid(("", "equation", "what it learns", "parameters"), rows, right=("parameters",)))
    else:
        console.print("It learns nothing: there are no parameters.\n")
    if cell.init:
        begins = ", ".join(f"{name} = {value}" for name, value in cell.init.items())
        console.print(f"Begins with {escape(begins)}.", soft_wrap=True)
    console.print(
        f"States: {', '.join(cell.states)} ({cell.states[0]} is the output). A name above its own line means last "
        "step's value.",
        soft_wrap=True,
    )
    if cell.outputs:
        console.print(f"It also delivers {', '.join(cell.outputs)} at every step.", soft_wrap=True)
    for entry in cell.memories:
        place, *others = entry.split("=")
        banks = [name for name in others if name not in cell.inputs]
        text = f"It reads the memory {place}, given once for all steps"
        text += f", and {', '.join(banks)} at the positions of {place}" if banks else ""
        given = [name for name in others if name in cell.inputs]
        text += f". The input {', '.join(given)} has a number for each of its positions." if given else "."
        console.print(text, soft_wrap=True)
    if cell.own_sizes:
        entries = ", ".join(entry.replace("=", " = ") for entry in cell.own_sizes)
        console.print(f"Sizes of their own, here that of the state: {entries}.", soft_wrap=True)
    if cell.notes:
        console.print(f"\n{escape(cell.notes)}")


def _shape(parameter: dict[str, Any]) -> str:
    text = "×".join(str(size) for size in parameter["shape"])
    return text if parameter["structure"] == "dense" else f"{text} {parameter['structure']}"
