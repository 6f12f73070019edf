"""Write a page for every task, and the index of them, from the registry, each time sphinx runs."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from gatework.tasks.registry import TASKS
from gatework.tasks.task import Pairs, Recorded, Synthetic, Task

# Where the sequences of a group of tasks come from, and what the group is called.
HEADINGS = {Synthetic: "Drawn from a seed", Recorded: "Recorded", Pairs: "Recorded"}


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "tasks"
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.md": task_page(task) for name, task in TASKS.items()} | {"index.md": index_page()}
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        # Written only where it changed, so that sphinx rebuilds only what is new.
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def index_page() -> str:
    parts = [
        "# Tasks",
        "Each page is made from the table that defines its task. The same on the command line: `gatework tasks`.",
    ]
    groups: dict[str, list[list[str]]] = {}
    for name, task in TASKS.items():
        heading = "Your own data" if takes_own_data(task) else HEADINGS[type(task.examples)]
        row = [f"[`{name}`]({name}.md)", task.title, f"{task.gap.default:,}", str(task.success)]
        groups.setdefault(heading, []).append(row)
    for heading, rows in groups.items():
        parts += [f"## {heading}", table(["task", "what it is", "gap", "solved at"], rows)]
    parts.append("```{toctree}\n:hidden:\n\n" + "\n".join(TASKS) + "\n```")
    return "\n\n".join(parts) + "\n"


def task_page(task: Task) -> str:
    chance = {name: f"{value:.4g}" for name, value in task.chance(task.gap.default).items()}
    inputs = "of recorded data" if task.inputs is None else f"{task.inputs} {'symbols' if task.symbols else 'numbers'}"
    facts = [
        ["from", task.source],
        ["reads", inputs],
        ["gap", f"{task.gap.default:,} by default, {task.gap.least:,} at least: {task.gap.meaning}"],
        ["solved at", str(task.success)],
        ["guessing gets", ", ".join(f"{name} {value}" for name, value in chance.items()) or "what the data say"],
    ]
    if isinstance(task.examples, Recorded | Pairs):
        folder = (
            f"the folder `{task.examples.folder}` in `GATEWORK_DATA`, or " if task.examples.folder else "your own: "
        )
        facts.append(["data", f"{folder}`--data PATH`"])
    parts = [f"# {task.title}", task.asks, table(["", ""], facts)]
    if task.success.words:
        parts.append(f"**The criterion.** {task.success.words}")
    if task.notes:
        about = "What is done with the data" if takes_own_data(task) else "Where it differs from the paper"
        parts.append(f"**{about}.** {task.notes}")
    if task.published:
        rows = [[found.model, found.result, found.source] for found in task.published]
        parts += ["## Published results", table(["model", "result", "where"], rows)]
    settings = "\n".join(f"{name} = {value!r}" for name, value in task.defaults.items())
    data = " --data PATH" if takes_own_data(task) else ""
    parts += ["## Train on it", f"```sh\ngatework train --task {task.name}{data}\n```"]
    if settings:
        parts.append(f"Settings that it brings, where nothing else is said:\n\n```text\n{settings}\n```")
    return "\n\n".join(parts) + "\n"


def takes_own_data(task: Task) -> bool:
    """Tell whether a task takes data of the reader's own."""
    return isinstance(task.examples, Recorded) and not task.examples.folder


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Set a table; an upright bar would end a cell, and an asterisk or a hat is one."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
