"""``gatework tasks``: list the tasks, or show one."""

import textwrap

import numpy as np
from rich.markup import escape

from gatework.cli.output import Json, Size, grid, out, pairs, print_json
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch, Recorded, Synthetic, Task
from gatework.training.seeds import mixed_seed

_EXAMPLE_STEPS = 40


def list_tasks(name: str = "", /, *, gap: Size | None = None, seed: int = 0, json: Json = False) -> None:
    """List the tasks, or show one: its question, criterion, chance level, published results, and an example.

    Args:
        name: The task to show; all are listed without it.
        gap: How far its gap is, for the chance level and the example.
        seed: Where the example is drawn from.
        json: Print JSON, for programs.
    """
    if name:
        _show(TASKS[name], gap, seed, json)
        return
    if json:
        print_json([_facts(task, None) for task in TASKS.values()])
        return
    for heading, kind in (("Drawn from a seed", Synthetic), ("Recorded", Recorded)):
        rows = [
            [task.name, escape(task.title), str(task.gap.default), str(task.success)]
            for task in TASKS.values()
            if isinstance(task.examples, kind)
        ]
        out().print(f"[bold]{heading}[/bold]")
        out().print(grid(("task", "what it is", "gap", "solved at"), rows, right=("gap",)))
    out().print("Next: [cyan]gatework tasks adding[/cyan], [cyan]gatework train --task adding[/cyan]")


def _facts(task: Task, gap: int | None) -> dict:
    chosen = task.check_gap(gap)
    return {
        "name": task.name,
        "title": task.title,
        "asks": task.asks,
        "source": task.source,
        "kind": task.kind,
        "gap": chosen,
        "gap_meaning": task.gap.meaning,
        "success": str(task.success),
        "success_words": task.success.words,
        "chance": dict(task.chance(chosen)),
        "published": [vars(found) for found in task.published],
        "defaults": dict(task.defaults),
        "data": task.examples.folder if isinstance(task.examples, Recorded) else None,
        "notes": task.notes,
    }


def _show(task: Task, gap: int | None, seed: int, json: bool) -> None:
    facts = _facts(task, gap)
    example = None
    if isinstance(task.examples, Synthetic):
        drawn = task.examples.draw(np.random.default_rng(mixed_seed(seed, 0)), 1, facts["gap"], "train")
        example = _plain(task, drawn)
    if json:
        print_json(facts | ({} if example is None else {"example": example}))
        return
    console = out()
    console.print(f"[bold]{escape(task.title)}[/bold]\n{escape(task.asks)}\n")
    chance = ", ".join(f"{name} {value:.4g}" for name, value in facts["chance"].items())
    rows = {
        "from": task.source,
        "gap": f"{facts['gap']:,} {task.gap.meaning}",
        "solved at": f"{task.success}" + (f". {task.success.words}" if task.success.words else ""),
        "guessing gets": chance or "what the recorded data say; see the run's data.json",
        "settings": ", ".join(f"{name}={value}" for name, value in task.defaults.items()),
    }
    if task.notes:
        rows["differs"] = task.notes
    if facts["data"] is not None:
        rows["data"] = f"--data PATH, or the folder {facts['data'] or 'you give'} in GATEWORK_DATA"
    console.print(pairs({name: escape(value) for name, value in rows.items()}))
    if task.published:
        console.print("\n[bold]Published[/bold]")
        console.print(
            grid(
                ("model", "result", "where"),
                [[escape(p.model), escape(p.result), escape(p.source)] for p in task.published],
            )
        )
    if example is not None:
        console.print("\n[bold]An example[/bold]")
        console.print(escape(_example(example)))
    console.print(f"\nNext: [cyan]gatework train --task {task.name}[/cyan]")


def _plain(task: Task, batch: Batch) -> dict:
    """Give one sequence as plain data: what is read, and what is asked where."""
    inputs, targets = batch.inputs[:, 0].tolist(), batch.targets[:, 0].tolist()
    asked = [step for step, here in enumerate(batch.asked[:, 0].tolist()) if here]
    if task.alphabet:
        inputs = [task.alphabet[symbol] for symbol in inputs]
    answers = {step: task.classes[targets[step]] if task.classes else targets[step] for step in asked}
    return {"inputs": inputs, "asked": answers}


def _example(example: dict) -> str:
    """Write one sequence in lines: every step's input, and after an arrow what is asked there."""
    steps = list(enumerate(example["inputs"]))
    if len(steps) > _EXAMPLE_STEPS:
        # The beginning and the end: what is kept, and what is asked.
        steps = [*steps[: _EXAMPLE_STEPS // 2], (-1, "…"), *steps[-_EXAMPLE_STEPS // 2 :]]
    words = []
    for step, value in steps:
        asked = example["asked"].get(step)
        words.append(_shown(value) + ("" if asked is None else f" → {_shown(asked)}"))
    # A pair of numbers is not broken at the end of a line.
    text = textwrap.fill("  ".join(word.replace(" ", "\u00a0") for word in words), 100)
    return text.replace("\u00a0", " ")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"({' '.join(map(_shown, value))})" if len(value) > 1 else _shown(value[0])
    return f"{value:.3g}" if isinstance(value, float) else str(value)
