"""Sentences whose last word depends on an early one: the nearer the two, the easier.

Each sentence has an opening with the deciding word, the cue; a given number of words in between, with other words of
the cue's kind; and a closing, after which comes the answer. The words around it show which word is the cue, and never
its position or frequency.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.tasks.synthetic.packing import pack
from gatework.tasks.task import Batch, Draw, Gap, Split, Success, Synthetic, Task

# In a phrase, these stand for the cue, and for any other word of the same kind.
_CUE, _OTHER = "CUE", "OTHER"


@dataclass(frozen=True)
class Form:
    """The form of a kind of sentence.

    Args:
        cues: The words that may be the cue; other places are filled with them too.
        answers: The answer for each cue.
        openings: Beginnings; each ends with the cue.
        fillers: Phrases that may be repeated in between, all with the same number of words.
        rests: Phrases that fill the remaining words in between: of 1 word, of 2 … up to one less than a filler has.
        closing: The phrase before the answer.
        counted: True if results are grouped by the number of words in between that suggest another answer.
    """

    cues: tuple[str, ...]
    answers: tuple[str, ...]
    openings: tuple[str, ...]
    fillers: tuple[str, ...]
    rests: tuple[tuple[str, ...], ...]
    closing: str
    counted: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Every word of its sentences, once for each occurrence in the form."""
        phrases = (*self.openings, *self.fillers, *(phrase for rest in self.rests for phrase in rest), self.closing)
        return (*self.cues, *self.answers, *" ".join(phrases).split())


def _pairs(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read pairs such as ``clouds:sky``."""
    cues, answers = zip(*(pair.split(":") for pair in text.split()), strict=True)
    return cues, answers


def _sort(*kinds: tuple[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read words and their common answer."""
    return _pairs(" ".join(f"{word}:{answer}" for words, answer in kinds for word in words.split()))


_PLACES, _WHERE = _pairs(
    "clouds:sky fish:sea trees:forest cars:street books:library pupils:school cows:meadow boats:harbour pots:kitchen "
    "coins:purse"
)
_COUNTRIES, _LANGUAGES = _pairs(
    "France:French Spain:Spanish Italy:Italian Poland:Polish Greece:Greek Japan:Japanese China:Chinese Turkey:Turkish "
    "Russia:Russian Denmark:Danish Finland:Finnish Hungary:Hungarian"
)
_NAMES, _PRONOUNS = _sort(
    ("Mary Anna Julia Clara Emma Sophie Laura Helen Nora Alice", "she"),
    ("John Peter Tom Paul Henry David Martin Oscar Frank George", "he"),
)
_NOUNS, _VERBS = _sort(
    ("key door cabinet car window table lamp house garden bridge", "is"),
    ("keys doors cabinets cars windows tables lamps houses gardens bridges", "are"),
)

FORMS: dict[str, Form] = {
    "clouds": Form(
        _PLACES,
        _WHERE,
        openings=("the CUE", "unlike the OTHER the CUE", "just as the OTHER all these CUE"),
        fillers=("not like the OTHER", "far from the OTHER", "and not the OTHER"),
        rests=(("today", "now", "still"), ("of course", "as always"), ("on this morning", "at this hour")),
        closing="are in the",
    ),
    "native_language": Form(
        _COUNTRIES,
        _LANGUAGES,
        openings=(
            "I grew up in CUE",
            "my father came from OTHER but I grew up in CUE",
            "though born in OTHER I grew up in CUE",
        ),
        fillers=(
            "we often visited OTHER",
            "friends wrote from OTHER",
            "my sister loved OTHER",
            "others moved to OTHER",
        ),
        rests=(("later", "then"), ("in summer", "for years"), ("many years ago", "all the time")),
        closing="so I speak fluent",
    ),
    "pronoun_gender": Form(
        _NAMES,
        _PRONOUNS,
        openings=(
            "this is about CUE",
            "OTHER told a story about CUE",
            "what OTHER and OTHER heard is about CUE",
        ),
        fillers=("and OTHER met OTHER", "when OTHER called OTHER", "while OTHER helped OTHER", "as OTHER saw OTHER"),
        rests=(("once", "today"), ("last year", "one evening"), ("in the morning", "after the war")),
        closing="and in the end",
    ),
    "verb_number": Form(
        _NOUNS,
        _VERBS,
        openings=("the CUE", "behind the OTHER the CUE", "as for the OTHER the CUE"),
        fillers=("near the OTHER", "by the OTHER", "beyond the OTHER", "from the OTHER"),
        rests=(("here", "there", "outside"), ("of course", "over there")),
        closing="really",
        counted=True,
    ),
}

# Every word of all four kinds of sentences, by number. Number 0 is padding.
WORDS: tuple[str, ...] = (
    "",
    *sorted({word for form in FORMS.values() for word in form.words} - {_CUE, _OTHER}, key=lambda w: (w.lower(), w)),
)
_NUMBERS = {word: number for number, word in enumerate(WORDS)} | {_CUE: -2, _OTHER: -3}
_ABSENT = -1


def sentence(symbols: torch.Tensor) -> str:
    """Write a sentence out.

    Args:
        symbols: The numbers of its words ``[T]``, optionally with padding.

    Returns:
        The words.

    Example:
        >>> sentence(torch.tensor([WORDS.index("the"), WORDS.index("clouds"), 0]))
        'the clouds'
    """
    return " ".join(WORDS[number] for number in symbols.tolist() if number)


def _table(phrases: tuple[str, ...]) -> NDArray[np.int64]:
    """Number the words of phrases ``[most words, phrases]``."""
    rows = [[_NUMBERS[word] for word in phrase.split()] for phrase in phrases]
    longest = max(map(len, rows))
    return np.array([row + [_ABSENT] * (longest - len(row)) for row in rows], dtype=np.int64).T


def drawer(form: Form) -> Draw:
    """Make the function that draws sentences of a form.

    Args:
        form: The form.

    Returns:
        The function. The target is at the last word of the closing, as the number of a word. For the test it draws
        sentences with gap words in between, for training with up to gap words.
    """
    openings, fillers, closing = _table(form.openings), _table(form.fillers), _table((form.closing,))
    # Column 0 is no words at all; those of as many words as are left over begin at first[left].
    rests = _table(("", *(phrase for rest in form.rests for phrase in rest)))
    kinds = np.array([1, *map(len, form.rests)])
    first = np.cumsum(kinds) - kinds
    cues, answers = (np.array([_NUMBERS[word] for word in words]) for words in (form.cues, form.answers))

    def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
        # The places to fill: by an opening, repeated fillers, a rest, and the closing.
        words = rng.integers(len(closing), gap, size=size, endpoint=True) if split == "train" else np.full(size, gap)
        count, left = np.divmod(words - len(closing), len(fillers))
        most = (gap - len(closing)) // len(fillers)
        between = fillers[:, rng.integers(fillers.shape[1], size=(most, size))].swapaxes(0, 1)
        between = np.where((np.arange(most)[:, None] < count)[:, None], between, _ABSENT).reshape(-1, size)
        opening = openings[:, rng.integers(openings.shape[1], size=size)]
        rest = rests[:, rng.integers(first[left], first[left] + kinds[left])]
        pieces = np.concatenate([opening, between, rest, closing.repeat(size, axis=1)])

        which, others = rng.integers(len(cues), size=size), rng.integers(len(cues), size=pieces.shape)
        filled = np.where(pieces == _NUMBERS[_CUE], cues[which], pieces)
        filled = np.where(pieces == _NUMBERS[_OTHER], cues[others], filled)
        symbols, lengths = pack(filled, pieces != _ABSENT)
        targets = np.full(symbols.shape, -100)
        targets[lengths - 1, np.arange(size)] = answers[which]
        groups = None
        if form.counted:
            inside = slice(len(openings), len(openings) + len(between))
            against = (pieces == _NUMBERS[_OTHER]) & (answers[others] != answers[which])
            groups = torch.from_numpy(against[inside].sum(axis=0))
        return Batch(torch.from_numpy(symbols), torch.from_numpy(targets), torch.from_numpy(lengths), None, groups)

    return draw


def _task(name: str, title: str, asks: str, words: str, default: int, source: str) -> Task:
    form = FORMS[name]
    right = 1 / len(set(form.answers))
    return Task(
        name=name,
        title=title,
        asks=asks,
        source=source,
        kind="choice",
        inputs=len(WORDS),
        outputs=len(WORDS),
        symbols=True,
        alphabet=WORDS,
        classes=WORDS,
        gap=Gap(default, f"words between {words}", least=len(form.closing.split())),
        success=Success("accuracy", at_least=0.99, words="This project's own: 99 sentences of 100."),
        chance=lambda gap: {"accuracy": right, "loss": float(-np.log(right)), "solved": right},
        examples=Synthetic(drawer(form)),
        defaults={
            "hidden_size": 64,
            "embedding_size": 32,
            "batch_size": 64,
            "learning_rate": 5e-3,
            "steps": 3000,
        },
        notes="The sentences come from templates and a list of words. Only the last word is to be predicted. The "
        "chance level is that of guessing among the possible answers. Training sentences have up to as many words in "
        "between as test sentences.",
    )


clouds = _task(
    "clouds",
    "Clouds in the sky",
    "The clouds are in the …? The noun that the sentence is about decides.",
    "the noun and its place",
    3,
    "The short gap of Olah 2015, Understanding LSTM networks, as a task; templates by this project",
)
native_language = _task(
    "native_language",
    "Native language",
    "I grew up in France … so I speak fluent …? Other countries are spoken of in between.",
    "the country and the language",
    20,
    "The long gap of Olah 2015, Understanding LSTM networks, as a task; templates by this project",
)
pronoun_gender = _task(
    "pronoun_gender",
    "Gender of a pronoun",
    "This is about Mary … and in the end …, he or she? Other people are spoken of in between.",
    "the name and the pronoun",
    12,
    "This project's own",
)
verb_number = _task(
    "verb_number",
    "Number of a verb",
    "The keys near the cabinet … is or are? Nouns of either number stand in between; results are grouped by how many "
    "of them differ from the subject.",
    "the subject and the verb",
    10,
    "After the agreement task of Linzen, Dupoux & Goldberg 2016, TACL 4; templates by this project",
)
