"""Nonsense at the door of the language: each fault has its own sentence, its line and its caret."""

import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from gatework.errors import EquationError
from gatework.language import parse, show

# text, states, inputs, what the message begins with, line, column of the caret
NONSENSE = [
    ("h = tahn(W @ x)", "h", "x", "There is no function `tahn`. Did you mean `tanh`?", 1, 4),
    ("h = W @ x ^ 2", "h", "x", "The symbol `^` is not part of the language; write `x * x` for a square.", 1, 10),
    ("h = x ** 2", "h", "x", "The symbol `**` is not part of the language; write `x * x` for a square.", 1, 6),
    ("h = f ⊙ h + x", "h", "x", "The symbol `⊙` is not part of the language; write `*` for an", 1, 6),
    ("h = x < h", "h", "x", "The symbol `<` is not part of the language; write `greater(b, a)`", 1, 6),
    ("h = W @ [x, h]", "h", "x", "The symbol `[` is not part of the language; a product such as", 1, 8),
    ("h = tanh(x)\nc = h' + x", "h c", "x", "The symbol `'` is not part of the language; write `prev(c)`", 2, 5),
    ("h = W @ x + W * h", "h", "x", "`W` is used as a vector here and as a matrix before", 1, 12),
    ("h = W * x + W @ h", "h", "x", "`W` is a matrix here, a vector before", 1, 12),
    ("h = x @ h", "h", "x", "`x` is a vector and cannot stand left of `@`.", 1, 4),
    ("h = p * W @ x", "h", "x", "Left of `@` stands the name of a matrix; write `p * (W @ x)`", 1, 4),
    ("h = A @ B @ x", "h", "x", "Left of `@` stands the name of a matrix", 1, 4),
    ("h = W @ 2 + x", "h", "x", "`W @` needs a vector, not a plain number.", 1, 4),
    ("f = sigmoid(o)\no = sigmoid(x)\nh = f", "h", "x", "`o` is read here but only defined on line 2", 1, 12),
    ("g = tanh(g + x)\nh = g", "h", "x", "`g` is read here but only defined on its own line", 1, 9),
    ("h = tanh(W @ x)\nq = sigmoid(h)", "h", "x", "`q` is never read and is no state: an unused equation.", 2, 0),
    ("h = tanh(x)\nh = tanh(h)", "h", "x", "`h` is given two equations; name one of them differently.", 2, 0),
    ("x = tanh(h)\nh = x", "h", "x", "`x` is an input and cannot have an equation.", 1, 0),
    ("h = tanh(W @ x) + prev(i)", "h", "x", "`prev(i)` needs a state; the states are h.", 1, 23),
    ("h = prev(h + x)", "h", "x", "`prev` takes the name of one state: `prev(c)` is last step's c.", 1, 4),
    ("h = tanh + x", "h", "x", "`tanh` is a function; write `tanh(...)` with what it applies to.", 1, 4),
    ("tanh = x\nh = tanh(x)", "h", "x", "`tanh` is a function of the language and cannot name a quantity.", 1, 0),
    ("h = tanh(x, x)", "h", "x", "`tanh` takes 1 argument, not 2.", 1, 4),
    ("h = maximum(x)", "h", "x", "`maximum` takes 2 arguments, not 1.", 1, 4),
    ("h = tanh(x=x)", "h", "x", "Arguments of `tanh` are written in order, without names or stars.", 1, 4),
    ("h = lambda * x", "h", "x", "`lambda` is a word of Python and cannot name a quantity", 1, 4),
    ("h = 1if x else h", "h", "x", "A number runs into a name here; write `2 * x`, and names that begin", 1, 4),
    ("h = h + 2x", "h", "x", "A number runs into a name here; write `2 * x`, and names that begin", 1, 8),
    ("h = 1e5or 0x1for x", "h", "x", "A number runs into a name here; write `2 * x`, and names that begin", 1, 4),
    ("h = x +", "h", "x", "This line cannot be read (invalid syntax)", 1, 7),
    ("h = (x + h", "h", "x", "This line cannot be read ('(' was never closed)", 1, 4),
    ("h += x", "h", "x", "An equation has the form `name = expression`, and this line has not.", 1, 0),
    ("tanh(x)", "h", "x", "An equation has the form `name = expression`, and this line has not.", 1, 0),
    ("h = c = x", "h", "x", "Left of `=` stands one name", 1, 0),
    ("h.T = x", "h", "x", "Left of `=` stands one name", 1, 0),
    ("h = x, h", "h", "x", "A comma stands only between the arguments of a function.", 1, 4),
    ("h = R.T + x", "h", "x", "A transposed matrix stands only left of `@`", 1, 4),
    ("h = R.S @ x", "h", "x", "`.S` is not part of the language; `R.T` is the transposed matrix.", 1, 4),
    ("h = True * x", "h", "x", "`True` is no number of the language", 1, 4),
    ("h = 1e999 * x", "h", "x", "This number is too large to be represented.", 1, 4),
    ("h = 2j * x", "h", "x", "`2j` is no number of the language", 1, 4),
    ("h = x * bernoulli(0.5)", "h", "x", "`bernoulli` stands alone on its line", 1, 8),
    ("k = bernoulli(1.5)\nh = k * x", "h", "x", "`bernoulli` needs a probability from 0 to 1", 1, 4),
    ("k = bernoulli(h)\nh = k * x", "h", "x", "`bernoulli` needs a probability from 0 to 1", 1, 4),
    ("h = divides(period(20), x)", "h", "x", "`period` needs a whole number of blocks from 1 to 9.", 1, 19),
    ("h = block_diagonal(R, 0) @ h + x", "h", "x", "`block_diagonal` needs a whole number of blocks from 1", 1, 22),
    ("h = block_diagonal(R) @ h + x", "h", "x", "`block_diagonal` takes a matrix and a number of blocks", 1, 4),
    ("h = block_upper(R, 2) * x", "h", "x", "`block_upper(R, n)` stands only left of `@`", 1, 4),
    ("h = block_upper(R, 2) @ h + R @ x", "h", "x", "`R` is used with two different structures", 1, 28),
    ("h = tanh(W @ (x * period(2)) + h)", "h", "x", "`period` gives a number for each unit of hidden_size, and", 1, 18),
    ("h = norm(2) + x", "h", "x", "`norm` needs a vector, not a plain number.", 1, 4),
    ("h = tanh(x) + outer(x, h)", "h", "x", "A matrix from `outer` can only be added to another.", 1, 4),
    ("h = open(x)", "h", "x", "There is no function `open`.", 1, 4),
    ("h = x.__class__ @ x", "h", "x", "`.__class__` is not part of the language", 1, 4),
    (f"h = {'a' * 41} * x", "h", "x", "This name has 41 characters; at most 40 are allowed.", 1, 4),
    ("h = tanh(W @ x)", "h c", "x", "The state `c` has no equation. Add a line `c = ...`.", 0, 0),
    ("hh = tanh(W @ x)", "h", "x", "The state `h` has no equation. Add a line `h = ...`. Did you mean `hh`?", 0, 0),
    ("h = tanh(R @ h)", "h", "x", "The input `x` is never read. Use it, or leave it out of the inputs.", 0, 0),
    ("h = tanh(x)", "", "x", "A cell needs at least one state", 0, 0),
    ("h = tanh(x)", "h h", "x", "The states h h name one thing twice.", 0, 0),
    ("h = tanh(x)", "h", "x tanh", "`tanh` cannot be one of the inputs", 0, 0),
    ("x = tanh(x)", "x", "x", "`x` is an input and cannot have an equation.", 1, 0),
    ("", "h", "x", "There are no equations in the text", 0, 0),
    ("# only a comment", "h", "x", "There are no equations in the text", 0, 0),
    ("i = sigmoid(x)\nh = i", None, "x", None, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "states", "inputs", "message", "line", "column"), NONSENSE)
def test_nonsense(text, states, inputs, message, line, column):
    if message is None:
        assert parse(text, states, inputs).states == ("h",)  # the first name h is the output, though nothing reads it
        return
    with pytest.raises(EquationError) as caught:
        parse(text, states, inputs)
    error = caught.value
    assert str(error).startswith(message)
    assert (error.line, error.column) == (line, column)
    if line:
        quoted, caret = str(error).split("\n")[-2:]
        prefix = f"  line {line}: "
        assert quoted == prefix + text.split("\n")[line - 1]
        assert caret == " " * (len(prefix) + column) + "^"


def test_caret_stays_in_sight_of_a_long_line():
    text = "h = " + " + ".join(["x"] * 50) + " ^ x"
    with pytest.raises(EquationError) as caught:
        parse(text, "h")
    quoted, caret = str(caught.value).split("\n")[-2:]
    assert quoted[caret.index("^")] == "^"
    assert len(quoted) < 120


HOSTILE = {
    "many characters": "h = " + "x + " * 10_000 + "x",
    "many equations": "\n".join(f"a{i} = x" for i in range(1000)),
    "deep parentheses": "h = " + "(" * 5000 + "x" + ")" * 5000,
    "deep minus": "h = " + "-" * 15_000 + "x",
    "deep calls": "h = " + "tanh(" * 200 + "x" + ")" * 200,
    "deep sum": "h = " + "x+" * 5000 + "x",
    "deep products": "h = " + "W @ " * 3000 + "x",
    "huge number": "h = " + "9" * 15_000 + " * x",
    "null byte": "h = x\0",
    "dunder": "h = __import__(x)",
    "attribute chain": "h = x" + ".T" * 5000 + " @ x",
    "string": "h = 'x' * 99",
    "comprehension": "h = (a for a in x)",
    "walrus": "h = (a := x)",
    "statement": "import os",
    "semicolon": "h = x; import os",
    "comma chain": "h = tanh(" + "x," * 5000 + ")",
}


def calls_of(function: Callable[[], object]) -> int:
    """Count the calls that a function makes, of Python's functions and of built-in ones."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_in_an_error_after_little_work(name):
    """The work grows no faster than the text: a few calls for each of its characters, and those of the message."""

    def refused() -> None:
        with pytest.raises(EquationError):
            parse(HOSTILE[name], "h")

    assert calls_of(refused) < 3000 + 4 * len(HOSTILE[name])


def test_what_is_no_text_is_refused():
    texts: list[Any] = [None, 5, b"h = x", ["h = x"]]
    for given in texts:
        with pytest.raises(EquationError, match=f"given as {type(given).__name__}; expected text"):
            parse(given)
    with pytest.raises(EquationError, match="states is 5; expected names"):
        parse("h = x + h", texts[1])
    with pytest.raises(EquationError, match="`5` cannot be one of the inputs"):
        parse("h = x + h", "h", texts[1:2])


def test_a_lone_carriage_return_ends_a_line():
    assert parse("h = x + c  # one\rc = h") == parse("h = x + c  # one\nc = h")


def test_a_comment_that_is_no_unicode_is_shown():
    with pytest.raises(EquationError) as caught:
        parse("c = x\nh = c + h  # \ud800", "h")
    assert str(caught.value).startswith("This character is no valid Unicode")
    assert (caught.value.line, caught.value.column) == (2, 13)


@pytest.mark.parametrize("code", ["h = tanh(W @ x + \ud800 h)", "h = x \x1b[2J", "h = x\x00", "\u202eh = x"])
def test_messages_can_be_encoded_and_steer_nothing(code):
    with pytest.raises(EquationError) as caught:
        parse(f"{code}  # \x9b\u2066", "h")
    for text in (str(caught.value), caught.value.reason):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        text.encode()
    quoted, caret = str(caught.value).split("\n")[-2:]
    assert quoted[caret.index("^")] == "\\"


@pytest.mark.parametrize("text", ["h = 1if x else h", "h = 0x1for x", "h = 1.5e3and x", "h = 2j or x", "h = 1in x"])
def test_python_warns_of_nothing(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EquationError):
            parse(text, "h")


def test_comments_show_what_would_steer_a_terminal():
    comment = "\x1b]0;a\x07 \x00 \x9b2J \u202eb\u2069 \ufffe c\u2028d"
    step = parse(f"h = tanh(x)  # {comment} \u4fdd\u3000\u7559\tتنـ\u200cها", "h")
    shown = step.equations[0].comment
    assert shown.startswith(r"\x1b]0;a\x07 \x00 \x9b2J \u202eb\u2069 \ufffe c\u2028d")
    assert shown.endswith("\u4fdd\u3000\u7559\tتنـ\u200cها")  # spaces and joiners are letters of someone's language
    assert parse(show(step), "h").equations == step.equations


def test_odd_line_ends_in_comments_do_not_move_the_quoted_line():
    with pytest.raises(EquationError, match="line 2: q = h"):
        parse("h = x  # a\x85b\u2028c\nq = h", "h")


def test_a_state_is_a_vector():
    with pytest.raises(EquationError, match="The state `h` is a matrix; a state is a vector"):
        parse("h = outer(x, h)")
