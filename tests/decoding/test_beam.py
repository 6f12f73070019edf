"""Beam search: greedy with one beam, exact with all of them, and no row or beam knows what does not belong to it."""

import math
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch

import gatework
from gatework.decoding import beam_search
from gatework.errors import DataError, SizeError

CODES = 997


class Toy:
    """A model whose next symbol depends on all symbols before it, by a number that the state carries."""

    def __init__(self, size, seed, spread=2.0):
        generator = torch.Generator().manual_seed(seed)
        scores = torch.randn(CODES, size, generator=generator, dtype=torch.float64) * spread
        self.size, self.table = size, scores.log_softmax(dim=1)

    def code(self, before, symbol):
        return (before * 31 + symbol + 7) % CODES

    def __call__(self, symbols, state):
        code = self.code(state, symbols)
        return self.table[code], code

    def text(self, first, row, symbols):
        """The log-probability of symbols after the first one, one after the other."""
        code, nats = self.code(row, first), 0.0
        for symbol in symbols:
            nats += float(self.table[code, symbol])
            code = self.code(code, symbol)
        return nats


def divided(nats, count, penalty):
    return nats / count if penalty == "mean" else nats / ((5 + count) / 6) ** penalty


def every_text(toy, first, row, end, length, penalty):
    """All texts with their scores: those that end within the length, and those that are cut off by it."""
    found = {}
    for count in range(1, length + 1):
        for symbols in product(range(toy.size), repeat=count):
            ends = symbols[-1] == end
            if end in symbols[:-1] or (not ends and count < length):
                continue
            nats = toy.text(first, row, symbols)
            found[symbols[:-1] if ends else symbols, ends] = divided(nats, count, penalty)
    return sorted(found.items(), key=lambda one: -one[1])


def start(rows):
    return torch.arange(rows) % 3, torch.arange(rows)[:, None] * 11  # first symbols [B], the state [B, 1]


def run(toy, first, state, **options):
    def step(symbols, codes):
        logs, after = toy(symbols, codes[:, 0])
        return logs, after[:, None]

    return beam_search(step, first, state, **options)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, "mean"])
@pytest.mark.parametrize("end", [0, 2, None])
@pytest.mark.parametrize("seed", range(4))
def test_as_many_beams_as_texts_find_what_trying_all_of_them_finds(seed, end, penalty):
    toy, length = Toy(3, seed), 4
    first, state = start(3)
    found = run(toy, first, state, end=end, width=3**length, length=length, penalty=penalty)
    for row, hypotheses in enumerate(found):
        expected = every_text(toy, int(first[row]), int(state[row]), end, length, penalty)
        assert [(one.symbols, one.ended) for one in hypotheses] == [text for text, _ in expected]
        assert [one.score for one in hypotheses] == pytest.approx([score for _, score in expected])
        assert sum(math.exp(one.log_probability) for one in hypotheses) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(8))
def test_one_beam_is_greedy(seed):
    toy = Toy(5, seed)
    first, state = start(6)
    for row, (only,) in enumerate(run(toy, first, state, end=0, width=1, length=12)):
        code, written = toy.code(int(state[row]), int(first[row])), []
        while len(written) < 12 and 0 not in written:
            written.append(int(toy.table[code].argmax()))
            code = toy.code(code, written[-1])
        ended = written[-1] == 0
        assert (only.symbols, only.ended) == (tuple(written[:-1] if ended else written), ended)
        assert only.log_probability == pytest.approx(toy.text(int(first[row]), int(state[row]), written))


def reference(toy, first, row, end, width, length):
    """The same search for one row, with lists."""
    beams, done = [(0.0, ())], []
    for _ in range(length):
        room = width - len(done)
        grown = [(toy.text(first, row, (*text, symbol)), (*text, symbol)) for _, text in beams for symbol in range(5)]
        beams = sorted(grown, key=lambda one: -one[0])[:room]
        done += [one for one in beams if one[1][-1] == end]
        beams = [one for one in beams if one[1][-1] != end]
    return sorted([*((nats, text[:-1]) for nats, text in done), *beams], key=lambda one: -one[0])


@pytest.mark.parametrize("width", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_beams_are_those_of_a_search_with_lists(seed, width):
    toy = Toy(5, seed, spread=1.0)
    first, state = start(4)
    found = run(toy, first, state, end=1, width=width, length=6)
    for row, hypotheses in enumerate(found):
        expected = reference(toy, int(first[row]), int(state[row]), 1, width, 6)
        assert [one.symbols for one in hypotheses] == [text for _, text in expected]
        assert [one.score for one in hypotheses] == pytest.approx([nats for nats, _ in expected])


def test_the_order_of_rows_is_irrelevant():
    toy = Toy(6, 3, spread=1.0)
    first, state = start(9)
    found = run(toy, first, state, end=0, width=3, length=10)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    assert run(toy, first[order], state[order], end=0, width=3, length=10) == [found[row] for row in order.tolist()]
    assert [run(toy, first[[row]], state[[row]], end=0, width=3, length=10)[0] for row in range(9)] == found


class Pair(NamedTuple):
    inner: Any
    other: Any


def test_states_have_any_form_and_any_axis():
    toy = Toy(4, 1, spread=1.0)
    first, state = start(5)
    expected = run(toy, first, state, end=0, width=3, length=8)

    def step(symbols, form):
        pair, rest = form["deep"]
        assert rest == [None]
        assert torch.equal(pair.other[0, :, 0], pair.inner[0])
        logs, code = toy(symbols, pair.inner[0])
        return logs, {"deep": (Pair((code,), code[None, :, None].expand(2, -1, 3)), rest)}

    # The same numbers in [B], and in [2, B, 3]: axis 0 of the one is axis 1 of the other, so each is tried alone.
    codes = state[:, 0]
    for axis, form in ((0, codes), (1, codes[None, :, None].expand(2, -1, 3)), (-1, codes[None].expand(2, -1))):

        def plain(symbols, given, axis=axis, form=form):
            lines = given.movedim(axis, 0).reshape(len(symbols), -1)
            logs, code = toy(symbols, lines[:, 0])
            shape = list(form.shape)
            shape[axis] = len(code)
            view = [1] * form.dim()
            view[axis] = len(code)
            return logs, code.view(view).expand(shape).contiguous()

        assert beam_search(plain, first, form, end=0, width=3, length=8, axis=axis) == expected
    deep = {"deep": (Pair((codes[:, None],), codes[:, None]), [None])}

    def nested(symbols, form):
        pair, rest = form["deep"]
        assert isinstance(pair, Pair)
        assert rest == [None]
        assert torch.equal(pair.inner[0], pair.other)
        logs, code = toy(symbols, pair.other[:, 0])
        return logs, {"deep": (Pair((code[:, None],), code[:, None]), rest)}

    assert beam_search(nested, first, deep, end=0, width=3, length=8) == expected


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_layer_is_searched_with_its_own_state(cell):
    torch.manual_seed(0)
    layer, head = gatework.Recurrent(cell, 6, 8, 2).double(), torch.nn.Linear(8, 6).double()
    prompt = torch.randn(3, 4, 6, dtype=torch.float64)

    def step(symbols, state):
        output, state = layer(torch.nn.functional.one_hot(symbols, 6).double()[None], state)
        return (3 * head(output[0])).log_softmax(-1), state

    _, state = layer(prompt)
    first = torch.tensor([0, 1, 2, 3])
    for row, hypotheses in enumerate(beam_search(step, first, state, end=5, width=4, length=7)):
        for one in hypotheses:
            read = torch.tensor([int(first[row]), *one.symbols])
            shown = torch.nn.functional.one_hot(read, 6).double()[:, None]
            output, _ = layer(torch.cat([prompt[:, row : row + 1], shown]))
            logs = (3 * head(output[-len(read) :, 0])).log_softmax(-1).detach()
            came = [*one.symbols, *([5] if one.ended else [])]
            expected = sum(float(logs[place, symbol]) for place, symbol in enumerate(came))
            assert one.log_probability == pytest.approx(expected)


def test_equal_continuations_come_in_the_order_of_beams_and_symbols():
    def even(symbols, state):
        return torch.full((len(symbols), 3), 1 / 3, dtype=torch.float64).log(), state

    found = beam_search(even, torch.zeros(2, dtype=torch.long), width=4, length=2)
    assert [one.symbols for one in found[0]] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert found[0] == found[1]
    ended = beam_search(even, torch.zeros(1, dtype=torch.long), end=1, width=5, length=2, penalty=1.0)
    expected = [((), True), ((0,), True), ((0, 0), False), ((0, 2), False), ((2, 0), False)]
    assert [(one.symbols, one.ended) for one in ended[0]] == expected


def test_a_penalty_lets_a_longer_text_win():
    """The end at once has probability 0.4; one symbol and the end 0.3; two symbols and the end 0.3."""
    shares = [[0.0, 0.0, 0.0, 1.0], [0.5, 0.0, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0], [0.4, 0.6, 0.0, 0.0]]
    table = torch.tensor(shares, dtype=torch.float64).log()

    def best(penalty):
        first = torch.tensor([3])
        found = beam_search(lambda symbols, state: (table[symbols], state), first, end=0, width=4, penalty=penalty)
        return found[0][0].symbols, found[0][0].score

    assert best(0.0) == ((), pytest.approx(math.log(0.4)))
    assert best(0.5) == ((), pytest.approx(math.log(0.4)))
    assert best(1.0) == ((1, 2), pytest.approx(math.log(0.3) / (8 / 6)))
    assert best(2.0) == ((1, 2), pytest.approx(math.log(0.3) / (8 / 6) ** 2))
    assert best("mean") == ((1, 2), pytest.approx(math.log(0.3) / 3))


def test_symbols_at_minus_infinity_are_never_written():
    table = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).log()

    def step(symbols, state):
        return table[symbols], state

    found = beam_search(step, torch.tensor([0, 2, 1]), width=3, length=3)
    # From 1 nothing goes on, so that only texts of zeros reach the length; the others are no texts.
    assert [[one.symbols for one in row] for row in found] == [[(0, 0, 0), (0, 0, 1)], [], []]


def test_nan_and_numbers_above_zero_are_refused_with_their_row():
    def step(symbols, state):
        logs = torch.full((len(symbols), 2), 0.5).log()
        logs[-1, 1] = float("nan")
        return logs, state

    first = torch.zeros(3, dtype=torch.long)
    with pytest.raises(DataError, match="The log-probabilities of row 2 at symbol 2 are up to nan; expected numbers"):
        beam_search(step, first, width=2, length=3)
    with pytest.raises(DataError, match=r"The log-probabilities of row 0 at symbol 1 are up to 3\.0; expected numbers"):
        beam_search(lambda symbols, state: (torch.full((len(symbols), 2), 3.0), state), first, width=2)


def test_what_an_ended_beam_would_write_is_not_read():
    """The beams of row 0 end at once. Whatever stands in their place from then on, row 1 is searched to its end."""
    calls = []

    def step(symbols, state):
        logs = torch.full((len(symbols), 2), float("-inf"))
        logs[: len(symbols) // 2, 0] = 0.0 if not calls else float("nan")
        logs[len(symbols) // 2 :, 1] = 0.0
        calls.append(len(symbols))
        return logs, state

    found = beam_search(step, torch.zeros(2, dtype=torch.long), end=0, width=2, length=3)
    assert [[(one.symbols, one.ended) for one in row] for row in found] == [[((), True)], [((1, 1, 1), False)]]
    assert calls == [4, 4, 4]


def test_no_rows_are_searched_without_a_step():
    def step(symbols, state):
        raise AssertionError

    assert beam_search(step, torch.zeros(0, dtype=torch.long), torch.zeros(0, 3)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width is 0; expected a whole number of 1 or more."),
        ({"length": 2.5}, "length is 2.5; expected a whole number of 1 or more."),
        ({"end": -1}, "end is -1; expected the number of a symbol, or None"),
        ({"penalty": -1}, "penalty is -1; expected 0 (none), a number above it, or 'mean'."),
        ({"penalty": "max"}, "penalty is 'max'; expected 0 (none), a number above it, or 'mean'."),
        ({"penalty": math.nan}, "penalty is nan; expected 0 (none)"),
        ({"state": torch.zeros(2, 5, 3)}, "a tensor of the shape [2, 5, 3]; expected 4 rows along axis -2."),
        ({"state": (torch.zeros(4, 1), 3.0)}, "The state has a part of the type float; expected None, tensors,"),
        ({"state": torch.zeros(4)}, "a tensor of the shape [4]; expected 4 rows along axis -2."),
        ({"first": torch.zeros(4)}, "first has the shape [4] of torch.float32; expected one symbol for each row."),
        (
            {"step": lambda symbols, state: (torch.zeros(4, 2), state)},
            "returned [4, 2] of torch.float32; expected",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(options, message):
    given: dict[str, Any] = {"step": lambda symbols, state: (torch.zeros(len(symbols), 2), state)}
    with pytest.raises(SizeError) as refused:
        beam_search(**given | {"first": torch.zeros(4, dtype=torch.long)} | options)
    assert message in str(refused.value)
