"""A law over every error of the project: its message is whole sentences, from a capital to a stop."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gatework.errors
from gatework.errors import FileError, sentences

SOURCE = Path(gatework.errors.__file__).parent
ERRORS = {
    name for name, kind in vars(gatework.errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
}
# Messages that stand for a name in the caller's own code, a setting or a flag. Such a name keeps its case.
NAMED = re.compile(
    r"(?!(there|this|that|it|what|which|nothing|each|one) )[a-z][a-z_0-9]*"
    r"(\(\)|[=\[]| (is|are|has|have|names|needs|were|of `))|[A-Za-z_.0-9]*\0"
)
# Values that end a message without a stop of their own, because they are whole sentences.
WHOLE = (
    "error", "extra", "hint", "known", "did_you_mean(", "nearest(", "fault_in_words(", "message['refused']", "expected",
)  # fmt: skip
# Errors whose words are not this project's.
OTHERS = {
    "nn/drop_in.py": "torch.nn's own messages, which code beside it may match",
    "nn/drop_in_cells.py": "torch.nn's own messages, which code beside it may match",
    "cli/output.py": "it continues a sentence that cyclopts begins",
    "reading/nested.py": "it stands in brackets within a sentence about the file",
}


def shown(node: ast.expr) -> str | None:
    """Return a text with a mark for each value in it; None if it is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = ((part, getattr(part, "value", None)) for part in node.values)
        return "".join(
            str(value) if isinstance(part, ast.Constant) else f"\0{ast.unparse(value)}\0"
            for part, value in parts
            if value is not None
        )
    return None


def messages(path: Path) -> Iterator[tuple[int, str, list[ast.expr]]]:
    """Yield the line, the class and the arguments of every error that a file makes."""
    makers = ERRORS | ({"fault", "_fault", "at_line"} if "language" in path.parts else set())
    makers |= set() if path.relative_to(SOURCE).as_posix() in OTHERS else {"ValueError"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in makers:
            yield node.lineno, ast.unparse(node.func).split(".")[-1], node.args


def begins(text: str) -> bool:
    return not text[:1].islower() or NAMED.match(text) is not None


def ends(text: str) -> bool:
    value = text[:-1].rpartition("\0")[2] if text.endswith("\0") else ""
    return text.endswith((".", "?", "!")) or value.startswith(WHOLE)


def faults(path: Path) -> Iterator[str]:
    for line, kind, given in messages(path):
        texts = [shown(one) for one in given]
        where = f"{path.relative_to(SOURCE)}:{line}"
        if kind == "FileError":  # the name of the file begins it, and a stop follows
            _, reason, advice = [*texts, None, None][:3]
            if reason and (reason[0].isupper() or reason.endswith(".")):
                yield f"{where}: {reason!r} continues a sentence"
            texts = [advice]
        text = texts[0] if texts else None
        if text and not (begins(text) and ends(text)):
            yield f"{where}: {text!r}"


def test_every_message_is_whole_sentences():
    found = [fault for path in sorted(SOURCE.rglob("*.py")) for fault in faults(path)]
    assert not found, "\n".join(found)


def test_the_law_sees_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    path = tmp_path / "one.py"
    for text, wrong in {
        'SizeError("the size is odd.")': 1,
        'SizeError("there is no size.")': 1,
        'SizeError(f"The size is {size}")': 1,
        'SizeError(f"steps is {steps}; expected 1 or more.")': 0,
        'CellError(f"init[{name}] is {value}.{hint}")': 0,
        'FileError(path, "is empty", "download it again")': 1,
        'FileError(path, "is empty.", "Download it again.")': 1,
        'FileError(path, "is empty", "Download it again.")': 0,
    }.items():
        path.write_text(f"raise {text}\n")
        assert len([*faults(path)]) == wrong, text


def test_parts_become_sentences():
    assert sentences("One", "", "Two?", "Three.") == "One. Two? Three."
    assert str(FileError("a.csv", "is damaged: x is 1.", "Save it.", inside="line 3")) == (
        "'a.csv', line 3 is damaged: x is 1. Save it."
    )
