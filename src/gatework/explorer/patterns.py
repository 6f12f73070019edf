r"""Patterns in text, matched in bounded time.

Python's ``re`` backtracks, so a pattern of a few letters can keep it busy for years, and nothing can interrupt it. Here
a pattern becomes an automaton. All of its possible states are followed at once, and its steps are counted, so a search
that takes too many steps is stopped.

The syntax: letters, ``.``, ``[a-z]``, ``[^"]``, ``\d \w \s`` and ``\D \W \S``, ``\n \t``, ``( )``, ``|``,
``* + ? {2} {2,} {2,5}``, ``^ $`` (of a line) and ``\b``. Of the matches that begin first, the longest one counts.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from gatework.errors import ExplorerError

MOST_STATES = 2000
MOST_STEPS = 4_000_000
_MADE = 4  # the cost of computing a new state, relative to a step to a known one
_MOST_TIMES = 100
_MOST_NESTED = 20
_MOST_REMEMBERED = 5000
_REPETITION = re.compile(r"(?P<least>[0-9]{1,3})(?P<comma>,(?P<most>[0-9]{0,3}))?\}")

# Properties of a position in the text: bits that assertions ask for.
_LINE_START, _LINE_END, _BOUNDARY = 1, 2, 4
_ASSERTIONS = {"^": _LINE_START, "$": _LINE_END, "\\b": _BOUNDARY}

Test = Callable[[str], bool]
Key = TypeVar("Key")


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


_KINDS: dict[str, Test] = {
    "d": str.isdigit,
    "w": _is_word,
    "s": str.isspace,
    "D": lambda character: not character.isdigit(),
    "W": lambda character: not _is_word(character),
    "S": lambda character: not character.isspace(),
}
_WRITTEN = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(slots=True)
class _State:
    """A state of the automaton. It goes on with a symbol that passes its test, or freely where its assertion holds."""

    test: Test | None = None
    needs: int = 0
    after: list[int] = field(default_factory=list)


class Pattern:
    """A pattern that has been read.

    Args:
        text: The pattern.

    Raises:
        ExplorerError: If the pattern cannot be read, or is too large.

    Example:
        >>> Pattern('"[^"]*"').find('say "no" or "yes"')
        [(4, 8), (12, 17)]
    """

    def __init__(self, text: str) -> None:
        self._states: list[_State] = []
        self._end = self._add(_State())
        self._start = _Reader(text, self._add, self._states).whole(self._end)
        self._looks_around = any(state.needs for state in self._states)
        self._closed: dict[tuple[frozenset[int], int], frozenset[int]] = {}
        self._moved: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._left = MOST_STEPS

    def find(self, text: str, most_steps: int = MOST_STEPS) -> list[tuple[int, int]]:
        """Find the matches of the pattern.

        Args:
            text: The text to search.
            most_steps: The most steps of the search.

        Returns:
            The beginning and end of each match, in order. Empty matches are left out.

        Raises:
            ExplorerError: If the search takes more steps.
        """
        matches: list[tuple[int, int]] = []
        begin, self._left = 0, most_steps
        while begin < len(text):
            end = self._longest(text, begin)
            if self._left <= 0:
                raise ExplorerError(
                    'This pattern takes too long on this text. Make it more definite: [^"]* in place of .*, say.'
                )
            if end > begin:
                matches.append((begin, end))
            begin = max(end, begin + 1)
        return matches

    def _longest(self, text: str, begin: int) -> int:
        """Return the end of the longest match that begins here; ``begin`` if there is none."""
        states, end, place = frozenset((self._start,)), begin, begin
        while True:
            states = self._close(states, _around(text, place) if self._looks_around else 0)
            if self._end in states:
                end = place
            self._left -= 1
            if place == len(text) or not states or self._left <= 0:
                return end
            states = self._move(states, text[place])
            place += 1

    def _close(self, states: frozenset[int], around: int) -> frozenset[int]:
        """Add the states that are reached without a symbol."""
        closed = self._closed.get((states, around))
        if closed is None:
            reached, pending = set(states), list(states)
            while pending:
                state = self._states[pending.pop()]
                if state.test is None and state.needs & around == state.needs:
                    fresh = [after for after in state.after if after not in reached]
                    reached.update(fresh)
                    pending += fresh
            closed = self._remember(self._closed, (states, around), frozenset(reached))
        return closed

    def _move(self, states: frozenset[int], character: str) -> frozenset[int]:
        """Return the states that are reached with a symbol."""
        moved = self._moved.get((states, character))
        if moved is None:
            passed = (self._states[number] for number in states)
            after = (state.after for state in passed if state.test is not None and state.test(character))
            reached = frozenset(number for numbers in after for number in numbers)
            moved = self._remember(self._moved, (states, character), reached)
            self._left -= _MADE * len(states)
        return moved

    def _remember(self, known: dict[Key, frozenset[int]], key: Key, reached: frozenset[int]) -> frozenset[int]:
        """Cache a result, up to a limit, and count the work that it took."""
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known[key] = reached
        self._left -= _MADE * len(reached)
        return reached

    def _add(self, state: _State) -> int:
        if len(self._states) >= MOST_STATES:
            raise ExplorerError(f"The pattern is too large: repeated parts count as often as {{…}} says; at most "
                                f"{MOST_STATES} in all.")  # fmt: skip
        self._states.append(state)
        return len(self._states) - 1


# A part of a pattern is built back to front: it takes the state that follows it, and returns its first state.
Part = Callable[[int], int]


class _Reader:
    """Reads a pattern by descent: choices of sequences of repeated atoms."""

    def __init__(self, text: str, add: Callable[[_State], int], states: list[_State]) -> None:
        self.text, self.place, self.depth = text, 0, 0
        self.add, self.states = add, states

    def whole(self, end: int) -> int:
        part = self.choice()
        if self.place < len(self.text):
            raise self.fault("a ')' that closes nothing")
        return part(end)

    def choice(self) -> Part:
        parts = [self.sequence()]
        while self.taken("|"):
            parts.append(self.sequence())
        if len(parts) == 1:
            return parts[0]
        return lambda after: self.add(_State(after=[part(after) for part in parts]))

    def sequence(self) -> Part:
        parts: list[Part] = []
        while self.place < len(self.text) and self.text[self.place] not in "|)":
            parts.append(self.repeated())

        def build(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def repeated(self) -> Part:
        part = self.atom()
        while self.place < len(self.text) and self.text[self.place] in "*+?{":
            least, most = self.times()
            part = self._times(part, least, most)
            if self.place < len(self.text) and self.text[self.place] in "?+":
                raise self.fault("'?' or '+' after a repetition: write [^\"]* in place of .*?")
        return part

    def times(self) -> tuple[int, int | None]:
        sign = self.text[self.place]
        self.place += 1
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        repetition = _REPETITION.match(self.text, self.place)
        if repetition is None:
            raise self.fault("a '{' that is no repetition: write {2}, {2,} or {2,5}, or \\{ for the sign itself")
        self.place = repetition.end()
        least = int(repetition["least"])
        most = least if repetition["comma"] is None else int(repetition["most"]) if repetition["most"] else None
        if max(least, most or 0) > _MOST_TIMES or (most is not None and most < least):
            raise self.fault(f"a repetition out of range: expected at most {_MOST_TIMES} times, the smaller one first")
        return least, most

    def _times(self, part: Part, least: int, most: int | None) -> Part:
        def build(after: int) -> int:
            if most is None:
                loop = self.add(_State())
                self.states[loop].after = [part(loop), after]
                after = loop
            else:
                end = after
                for _ in range(most - least):
                    after = self.add(_State(after=[part(after), end]))
            for _ in range(least):
                # A separate state, so that repetitions of nothing count too.
                after = part(self.add(_State(after=[after])))
            return after

        return build

    def atom(self) -> Part:
        sign = self.text[self.place]
        self.place += 1
        if sign == "(":
            if self.text[self.place : self.place + 1] == "?":
                raise self.fault("a group that begins with '?': groups are plain here")
            return self.group()
        if sign in "*+?{":
            raise self.fault(f"a '{sign}' with nothing before it: write \\{sign} for the sign itself")
        if sign in "^$":
            return self.assertion(sign)
        if sign == "[":
            return self.tested(self.one_of())
        if sign == "\\":
            if self.taken("b"):
                return self.assertion("\\b")
            return self.tested(self.escaped())
        if sign == ".":
            return self.tested(lambda character: character != "\n")
        return self.tested(sign.__eq__)

    def group(self) -> Part:
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise self.fault(f"a group inside more than {_MOST_NESTED} others")
        part = self.choice()
        if not self.taken(")"):
            raise self.fault("a '(' that is never closed")
        self.depth -= 1
        return part

    def assertion(self, name: str) -> Part:
        return lambda after: self.add(_State(needs=_ASSERTIONS[name], after=[after]))

    def tested(self, test: Test) -> Part:
        return lambda after: self.add(_State(test=test, after=[after]))

    def escaped(self) -> Test:
        sign = self.text[self.place : self.place + 1]
        self.place += 1
        if sign in _KINDS:
            return _KINDS[sign]
        if not sign or (sign.isalnum() and sign not in _WRITTEN):
            known = ", ".join(f"\\{known}" for known in (*_KINDS, *_WRITTEN, "b"))
            raise self.fault(f"'\\{sign}': expected one of {known}, or a sign that is no letter")
        return _WRITTEN.get(sign, sign).__eq__

    def one_of(self) -> Test:
        """Read a class in square brackets."""
        inverted = self.taken("^")
        tests: list[Test] = []
        while not tests or not self.taken("]"):
            if self.place >= len(self.text):
                raise self.fault("a '[' that is never closed")
            tests.append(self.member())
        chosen = tuple(tests)
        return lambda character: any(test(character) for test in chosen) != inverted

    def member(self) -> Test:
        first = self.text[self.place]
        self.place += 1
        if first == "\\":
            if self.text[self.place : self.place + 1] in _KINDS:
                return self.escaped()
            self.escaped()
            first = _WRITTEN.get(self.text[self.place - 1], self.text[self.place - 1])
        last = self.text[self.place + 1 : self.place + 2]
        if self.text[self.place : self.place + 1] != "-" or last in ("", "]"):
            return first.__eq__
        self.place += 2
        if last == "\\" or last < first:
            raise self.fault(f"the range '{first}-{last}': expected two plain signs, the lower one first")
        return lambda character: first <= character <= last

    def taken(self, sign: str) -> bool:
        """Skip a sign if it comes next."""
        here = self.text.startswith(sign, self.place)
        self.place += len(sign) if here else 0
        return here

    def fault(self, what: str) -> ExplorerError:
        return ExplorerError(f"The pattern cannot be read: there is {what}.")


def _around(text: str, place: int) -> int:
    """Return the properties of a position between two symbols."""
    before, behind = text[place - 1 : place] if place else "", text[place : place + 1]
    properties = (_LINE_START if before in ("", "\n") else 0) | (_LINE_END if behind in ("", "\n") else 0)
    edge = bool(before and _is_word(before)) != bool(behind and _is_word(behind))
    return properties | (_BOUNDARY if edge else 0)
