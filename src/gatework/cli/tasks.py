"""``gatework tasks``: list the tasks, or show one."""

import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from rich.markup import escape

from gatework.cli.output import Json, Size, grid, out, pairs, print_json, program
from gatework.runs.seeds import mixed_seed
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch, Recorded, Split, Synthetic, Task

# An example with up to this many words is shown whole. Of a longer one, the first and the last half of them are shown.
_WHOLE = 40
# Runs of at least this many equal steps are written once.
_RUN = 4
# Rare values are always shown: values that occur at most this often, in a column with at most this many different
# values.
_RARE, _FEW = 3, 12
# If evaluation sequences are longer than training sequences by at least this factor, they are endless streams.
_STREAM = 4
# The largest gap at which an example is drawn. A longer sequence would take long, and be left out for the most part.
_LONGEST = 20_000


def list_tasks(name: str = "", /, *, gap: Size | None = None, seed: int = 0, json: Json = False) -> None:
    """List the tasks, or show one: its question, criterion, chance level, published results, and an example.

    Args:
        name: The task to show; without it all tasks are listed.
        gap: The gap, for the chance level and the example; by default the task's own. The example then has the largest
            gap, up to the task's own, with which it can be shown whole. At a very large gap a shorter one is drawn.
        seed: The seed of the example.
        json: Print JSON, for programs.
    """
    if name:
        _show(TASKS[name], gap, seed, json)
        return
    if json:
        print_json([_facts(task, None) for task in TASKS.values()])
        return
    for heading in ("Drawn from a seed", "Recorded", "Your own data"):
        rows = [
            [task.name, escape(task.title), str(task.gap.default), str(task.success)]
            for task in TASKS.values()
            if _heading(task) == heading
        ]
        out().print(f"[bold]{heading}[/bold]")
        out().print(grid(("task", "what it is", "gap", "solved at"), rows, right=("gap",)))
    name = escape(program())
    out().print(f"Next: [cyan]{name} tasks adding[/cyan], [cyan]{name} train --task adding[/cyan]", soft_wrap=True)


def _heading(task: Task) -> str:
    """Return the heading below which a task is listed."""
    if isinstance(task.examples, Synthetic):
        return "Drawn from a seed"
    return "Your own data" if isinstance(task.examples, Recorded) and task.examples.own else "Recorded"


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
        "data": None if isinstance(task.examples, Synthetic) else task.examples.folder,
        "notes": task.notes,
    }


def _show(task: Task, gap: int | None, seed: int, json: bool) -> None:
    facts = _facts(task, gap)
    example = _drawn(task, task.examples, gap, seed) if isinstance(task.examples, Synthetic) else None
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
        folder = f", or the folder {facts['data']} in GATEWORK_DATA" if facts["data"] else " to your own"
        rows["data"] = f"--data PATH{folder}"
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
        shorter = " for its length" if gap is not None and example["gap"] < gap else ""
        console.print(f"\n[bold]An example[/bold], drawn at gap {example['gap']:,}{shorter}")
        console.print(escape(_example(example)))
    own = " --data PATH" if facts["data"] == "" else ""
    console.print(f"\nNext: [cyan]{escape(program())} train --task {task.name}{own}[/cyan]", soft_wrap=True)


def _drawn(task: Task, examples: Synthetic, gap: int | None, seed: int) -> dict[str, Any]:
    """Draw one sequence: at the given gap, or at the largest gap up to the task's own that can be shown whole."""

    def at(chosen: int, split: Split) -> dict[str, Any]:
        # The second of two sequences, because some tasks evaluate every length in order and begin with the shortest.
        drawn = examples.draw(np.random.default_rng(mixed_seed(seed, 0)), 2, chosen, split)
        return {"gap": chosen} | _plain(task, drawn.columns(slice(1, 2)))

    least, own = task.gap.least, min(task.check_gap(gap), max(_LONGEST, task.gap.least))
    if len(at(least, "test")["inputs"]) > _STREAM * len(at(least, "train")["inputs"]):
        # A stream is never shown whole. The beginning of a training stream is enough.
        return at(own, "train")
    # From the test split, whose sequences have exactly the given gap; some tasks also train on shorter gaps.
    smaller = range(own - 1, least - 1, -1) if gap is None else ()
    first = at(own, "test")
    return next((found for found in (first, *(at(g, "test") for g in smaller)) if len(_steps(found)) <= _WHOLE), first)


def _plain(task: Task, batch: Batch) -> dict[str, Any]:
    """Return the first sequence as plain data: the inputs, and the answers by step; a list if several are right."""
    inputs, targets = batch.inputs[:, 0].tolist(), batch.targets[:, 0].tolist()
    asked = [step for step, here in enumerate(batch.asked[:, 0].tolist()) if here]
    names = task.classes or tuple(map(str, range(int(task.outputs or 0))))
    if task.alphabet:
        inputs = [task.alphabet[symbol] for symbol in inputs]
    if batch.legal is not None:
        legal = batch.legal[:, 0].tolist()
        answers = {step: [name for name, right in zip(names, legal[step], strict=True) if right] for step in asked}
    else:
        answers = {step: task.classes[targets[step]] if task.classes else targets[step] for step in asked}
    return {"inputs": inputs, "asked": answers}


def _steps(example: dict[str, Any]) -> list[tuple[int, int, str]]:
    """Return the first step, the number of steps and the text of each word of an example: input, arrow, answer."""
    words = []
    for step, value in enumerate(example["inputs"]):
        asked = example["asked"].get(step)
        words.append(_shown(value) + ("" if asked is None else f" → {_shown(asked)}"))
    steps, begin = [], 0
    for word, equal in groupby(words):
        count = len(list(equal))
        if count < _RUN:
            steps += [(begin + number, 1, word) for number in range(count)]
        else:
            steps.append((begin, count, f"{word} (×{count})"))
        begin += count
    return steps


def _example(example: dict[str, Any]) -> str:
    """Write one sequence in lines: the input of every step, and the answer after an arrow."""
    steps = _steps(example)
    shown = set(range(len(steps)))
    if len(steps) > _WHOLE:
        # Only ordinary steps are omitted, and never the ends or rare marks and symbols.
        rare = set(_standing_out(example))
        shown = {
            place
            for place, (step, _, _) in enumerate(steps)
            if place < _WHOLE // 2 or place >= len(steps) - _WHOLE // 2 or step in rare
        }
    words = []
    for here, places in groupby(range(len(steps)), shown.__contains__):
        some = [steps[place] for place in places]
        if here or len(some) < _RUN:
            words += [word for *_, word in some]
        else:
            words.append(f"… {sum(count for _, count, _ in some):,} steps …")
    # Pairs of numbers are not broken across lines.
    text = textwrap.fill("  ".join(word.replace(" ", "\u00a0") for word in words), 100)
    return text.replace("\u00a0", " ")


def _standing_out(example: dict[str, Any]) -> Iterator[int]:
    """Yield the steps with a rare value: a symbol, a number in one of several columns, or a requested answer."""
    inputs = example["inputs"]
    columns = list(zip(*inputs, strict=True)) if isinstance(inputs[0], list) else [inputs]
    for column in (*columns, [step in example["asked"] for step in range(len(inputs))]):
        counts = Counter(column)
        if len(counts) <= _FEW:
            yield from (step for step, value in enumerate(column) if counts[value] <= _RARE)


def _shown(value: object) -> str:
    if isinstance(value, list):
        if isinstance(value[0], str):  # any of them is right
            return "/".join(value)
        return f"({' '.join(map(_shown, value))})" if len(value) > 1 else _shown(value[0])
    return f"{value:.3g}" if isinstance(value, float) else str(value)
