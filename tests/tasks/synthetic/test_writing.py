"""Arithmetic, tags and sentences: what is asked can be answered from what was read, and guessing gets what is said."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
from tests.tasks.synthetic.test_timing import (
    Case,
    Guesser,
    Reader,
    check_chance,
    check_form,
    check_reader,
    check_seed,
    drawn,
    grouped,
)
from torch import Tensor

from gatework.tasks.synthetic import arithmetic as numbers
from gatework.tasks.synthetic import sentences, xml_tags
from gatework.tasks.task import Batch, Task


def found(pattern: str, said: str) -> tuple[str, ...]:
    """What the groups of a pattern matched, where they matched anything."""
    match = re.search(pattern, said)
    assert match, (pattern, said)
    return tuple(group for group in match.groups() if group is not None)


def calculate(inputs: list[int], gap: int) -> Iterator[int]:
    said, answer = "", ""
    for symbol in inputs:
        said += numbers.ALPHABET[symbol]
        if said.endswith("="):
            first, sign, second = found(r"^(-?\d+)([+-])(-?\d+)=$", re.sub("[a-z]", "", said))
            answer = f"{int(first) + int(second) if sign == '+' else int(first) - int(second)}."
        character, answer = answer[:1] or "z", answer[1:]
        yield numbers.ALPHABET.index(character)


def close_tags(inputs: list[int], gap: int) -> Iterator[int]:
    said, names, rest = "", [], ""
    for symbol in inputs:
        said += xml_tags.ALPHABET[symbol]
        if opened := re.search("<([a-z]+)>$", said):
            names.append(opened[1])
        if said.endswith("</"):
            rest = names.pop() + ">"
        character, rest = rest[:1] or "<", rest[1:]
        yield xml_tags.ALPHABET.index(character)


PLACES = {
    "clouds": "sky", "fish": "sea", "trees": "forest", "cars": "street", "books": "library", "pupils": "school",
    "cows": "meadow", "boats": "harbour", "pots": "kitchen", "coins": "purse",
}  # fmt: skip
LANGUAGES = {
    "France": "French", "Spain": "Spanish", "Italy": "Italian", "Poland": "Polish", "Greece": "Greek",
    "Japan": "Japanese", "China": "Chinese", "Turkey": "Turkish", "Russia": "Russian", "Denmark": "Danish",
    "Finland": "Finnish", "Hungary": "Hungarian",
}  # fmt: skip


def place(said: str) -> str:
    return PLACES[found(r"^(?:unlike the \w+ the|just as the \w+ all these|the) (\w+)", said)[0]]


def language(said: str) -> str:
    return LANGUAGES[found(r"grew up in (\w+)", said)[0]]


def gender(said: str) -> str:
    (name,) = found(r"is about (\w+)|told a story about (\w+)", said)
    return "he" if name in "John Peter Tom Paul Henry David Martin Oscar Frank George" else "she"


def number(said: str) -> str:
    (subject,) = found(r"(?<!behind )(?<!for )\bthe (\w+)", said)
    return "are" if subject.endswith("s") else "is"


def tell(rule: Callable[[str], str], closing: str) -> Reader:
    def reader(inputs: list[int], gap: int) -> Iterator[int]:
        said = [sentences.WORDS[symbol] for symbol in inputs]
        for end in range(1, len(said) + 1):
            words = " ".join(said[:end])
            yield sentences.WORDS.index(rule(words)) if end == len(said) and words.endswith(closing) else 0

    return reader


def stop_always(task: Task, batch: Batch, gap: int) -> Tensor:
    return (torch.arange(40) == 13).float().expand(1, 1, 40)


def end_always(task: Task, batch: Batch, gap: int) -> Tensor:
    return (torch.arange(29) == 27).float().expand(1, 1, 29)


def as_often(task: Task, batch: Batch, gap: int) -> Tensor:
    shares = torch.full((29,), 1e-30)
    shares[:26], shares[27] = 6 / 7 / 26, 1 / 7
    return shares.log().expand(1, 1, 29)


def any_of(*answers: str) -> dict[str, Guesser]:
    scores = torch.full((1, 1, len(sentences.WORDS)), -100.0)
    scores[..., [sentences.WORDS.index(answer) for answer in answers]] = 0
    return dict.fromkeys(("accuracy", "loss"), lambda task, batch, gap: scores)


SENTENCES = (
    Case(sentences.clouds, tell(place, "are in the"), any_of(*PLACES.values()), (3, 10, 17)),
    Case(sentences.native_language, tell(language, "so I speak fluent"), any_of(*LANGUAGES.values()), (4, 20, 33)),
    Case(sentences.pronoun_gender, tell(gender, "and in the end"), any_of("he", "she"), (4, 20, 33)),
    Case(sentences.verb_number, tell(number, "really"), any_of("is", "are"), (1, 10, 12)),
)
CASES = (
    Case(numbers.arithmetic, calculate, {"accuracy": stop_always}, (1, 3, 8)),
    Case(xml_tags.xml_tags, close_tags, {"accuracy": end_always, "loss": as_often}, (1, 10, 7)),
    *SENTENCES,
)

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_form_is_that_of_a_batch(case, split):
    for gap in case.gaps:
        check_form(case, gap, split)


@every_case
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_plain_reading_answers_everything(case, split):
    for gap in case.gaps:
        check_reader(case, gap, split)


@every_case
def test_the_seed_decides(case):
    for gap in case.gaps:
        check_seed(case, gap)


@every_case
def test_guessing_gets_what_is_said(case):
    for gap in case.gaps:
        check_chance(case, gap, 4000)


def test_the_chance_of_arithmetic_is_exact():
    # Every sum and difference of numbers of up to two digits, in full.
    stops = symbols = Fraction(0)
    ranges = [range(0, 10), range(10, 100)]
    for first, second in itertools.product(ranges, ranges):
        share = Fraction(1, len(first) * len(second))
        for x, y in itertools.product(first, second):
            for total in (x + y, x - y, -x + y, -x - y):
                stops, symbols = stops + share, symbols + share * (len(str(total)) + 1)
    assert numbers.arithmetic.chance(2)["accuracy"] == pytest.approx(float(stops / symbols), abs=1e-12)


def test_no_symbol_is_more_frequent_in_answers_than_the_full_stop():
    for gap in (1, 3, 8):
        batch = drawn(numbers.arithmetic, 4000, gap)
        (symbol, _), *_ = Counter(batch.targets[batch.asked].tolist()).most_common(1)
        assert numbers.ALPHABET[symbol] == "."


def written(batch: Batch, column: int, alphabet: str) -> str:
    assert batch.lengths is not None
    return "".join(alphabet[symbol] for symbol in batch.inputs[: batch.lengths[column], column])


def test_letters_are_strewn_and_numbers_have_up_to_gap_digits():
    batch = drawn(numbers.arithmetic, 2000, 3)
    letters = 0
    for column in range(batch.size):
        said = written(batch, column, numbers.ALPHABET)
        question = said[: said.index("=")]
        letters += len(re.findall("[a-z]", question)) / len(re.findall("[0-9+-]", question))
        assert max(map(len, re.findall("[a-z]+", question)), default=0) <= 3
        assert re.fullmatch(r"-?(0|[1-9]\d{0,2})[+-]-?(0|[1-9]\d{0,2})", re.sub("[a-z]", "", question))
    assert letters / batch.size == pytest.approx(0.875, abs=0.05)


def test_documents_are_well_formed_and_open_no_more_tags_than_gap():
    batch = drawn(xml_tags.xml_tags, 2000, 6)
    opened, deepest = Counter(), 0
    for column in range(batch.size):
        said = written(batch, column, xml_tags.ALPHABET) + ">"
        names, count = [], 0
        for slash, name in re.findall("<(/?)([a-z]{2,10})>", said):
            if slash:
                assert names.pop() == name
            else:
                names.append(name)
                count += 1
                deepest = max(deepest, len(names))
        assert names == []
        assert re.fullmatch("(</?[a-z]{2,10}>)+", said)
        opened[count] += 1
    assert deepest == max(opened) == 6
    # Half close the first tag at once, and half of those stop then.
    assert abs(opened[1] / batch.size - 1 / 4) < 4 * (3 / 16 / batch.size) ** 0.5


@pytest.mark.parametrize("case", SENTENCES, ids=str)
@pytest.mark.parametrize("gap", [4, 11, 12, 13, 14])
def test_as_many_words_stand_in_between_as_are_wanted(case, gap):
    starts = {
        "clouds": r"(?:unlike the \w+ the|just as the \w+ all these|the) \w+",
        "native_language": r".*grew up in \w+",
        "pronoun_gender": r".*(?:is|story) about \w+",
        "verb_number": r"(?:behind the \w+ the|as for the \w+ the|the) \w+",
    }
    counts = set()
    for split in ("test", "train"):
        batch = drawn(case.task, 300, gap, split)
        for column in range(batch.size):
            said = sentences.sentence(batch.inputs[:, column])
            assert batch.asked[len(said.split()) - 1, column]
            (rest,) = found(f"^{starts[case.task.name]}(.*)$", said)
            between = len(rest.split())
            assert between == gap or split == "train"
            counts.add(between)
    assert counts == set(range(case.task.gap.least, gap + 1))


def test_every_word_can_come_and_is_there_once():
    assert len(set(sentences.WORDS)) == len(sentences.WORDS)
    met = set()
    for case in SENTENCES:
        batch = drawn(case.task, 2000, 15)
        met |= set(batch.inputs.flatten().tolist()) | set(batch.targets[batch.asked].tolist())
    assert met == set(range(len(sentences.WORDS)))


def test_nouns_of_the_other_number_are_counted():
    batch = drawn(sentences.verb_number, 200, 10, "test")
    groups = grouped(batch)
    for column in range(batch.size):
        said = sentences.sentence(batch.inputs[:, column])
        nouns = [noun.endswith("s") for noun in re.findall(r"the (\w+)", said)][-4:]
        assert groups[column] == sum(noun != nouns[0] for noun in nouns[1:])
    assert set(groups) == {0, 1, 2, 3}
