"""The output of ``gatework show --plan`` and ``--kernel``, in a file of its own because the rest needs no torch."""

from gatework.cells import find_cell
from gatework.cli.output import Flag, Json, out, print_json
from gatework.kernels.door.listing import code_of
from gatework.kernels.planning.plan import show_plan
from gatework.kernels.planning.planned import PASSES_OF_A_CELL, plan_of

_TITLES = {
    "inference": "Forward, nothing saved",
    "training": "Forward, saving what the backward pass reads",
    "backward": "Backward",
}


def print_plans(cell: str, /, *, backward: Flag = False, json: Json = False) -> None:
    """Print the plans of a cell.

    Args:
        cell: A name, or a .txt file of equations.
        backward: Print only the plan of the backward pass.
        json: Print JSON, for programs.
    """
    chosen = find_cell(cell, files=True)
    wanted = ("backward",) if backward else PASSES_OF_A_CELL
    plans = {which: show_plan(plan_of(chosen.step, which)) for which in wanted}
    if json:
        print_json({"name": chosen.name, "plans": plans})
        return
    parts = [f"{_TITLES[which]}\n{'-' * len(_TITLES[which])}\n{text}" for which, text in plans.items()]
    out().out("\n\n".join(parts), highlight=False)


def print_code(cell: str, /, *, backward: Flag = False, assembly: Flag = False, json: Json = False) -> None:
    """Print the code of a cell's kernel for this machine.

    Args:
        cell: A name, or a .txt file of equations.
        backward: Print the code of the backward pass instead of the forward pass.
        assembly: Print assembly for this machine instead of LLVM's code.
        json: Print JSON, for programs.

    Raises:
        ConfigError: If there are no kernels for this machine.
    """
    chosen = find_cell(cell, files=True)
    which = "backward" if backward else "inference"
    form = "assembly" if assembly else "llvm"
    code = code_of(chosen.step, which, form)
    if json:
        print_json({"name": chosen.name, "pass": which, "form": form, "level": code.level, "text": code.text})
    else:
        out().out(code.text.rstrip("\n"), highlight=False)
