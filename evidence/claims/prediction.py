"""h as a prediction that is computed from the cell state c."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.figures import Figures, mean
from evidence.jobs import run_jobs
from evidence.page import shown

ROWS = 32
FOLDS = 2
# The target of a probe -> its name on the page.
ASKED = {
    "1": "the next character",
    "0": "the character just read",
    "-5": "the fifth character before it",
    "column": "the position in the line",
    "indentation": "the indentation of the line",
}
_LASTING = ("column", "indentation")
_MODEL = "the next character, by the model itself"


def _name(what: str, state: str) -> str:
    return f"{ASKED[what]}, probed from {state}"


def _more(what: str) -> str:
    return f"{ASKED[what]}: h minus c"


def _measure(context: Context) -> Measured:
    offsets = [int(what) for what in ASKED if what not in _LASTING]
    (found,) = run_jobs(context, "probes", [{"rows": ROWS, "offsets": offsets, "folds": FOLDS}])
    figures = [mean(_MODEL, found["model"], "rows of text", grain=0.002)]
    for what in ASKED:
        by_row = found["h"][what], found["c"][what]
        figures += [
            mean(_name(what, state), values, "rows of text", grain=0.005)
            for state, values in zip("hc", by_row, strict=True)
        ]
        # Both use the same rows, so the difficulty of a row cancels out.
        differences = [one - other for one, other in zip(*by_row, strict=True)]
        figures.append(mean(_more(what), differences, "rows of text", grain=0.005))
    settings = {
        "model": "the demo's, 2 layers of 128 units of lstm",
        "rows": ROWS,
        "characters_of_a_row": found["steps"],
    }
    return Measured(figures, settings, found["seconds"])


def _judge(figures: Figures) -> Verdict:
    coming, read, lasting = figures[_more("1")], figures[_more("0")], [figures[_more(what)] for what in _LASTING]
    told = (
        f"For the next character, the accuracy of a linear probe of h is {shown(figures[_name('1', 'h')])}, that of a "
        f"probe of c is {shown(figures[_name('1', 'c')])}, and that of the model itself is {shown(figures[_MODEL])}. "
        f"For the position in the line, a probe of h explains {shown(figures[_name('column', 'h')])} of the variance "
        f"and a probe of c explains {shown(figures[_name('column', 'c')])}."
    )
    if coming.low <= 0:
        return Verdict("does not hold", told)
    if any(one.high >= 0 for one in lasting):
        return Verdict("holds with a condition", f"{told} Lasting facts are not easier to read from c than from h.")
    if read.low > 0:
        end = "So c tells more about lasting facts, but not about the recent past: h also tells more about the last "
        "character."
        return Verdict("holds with a condition", f"{told} {end}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="prediction",
    title="h as a prediction from c",
    claim="The cell state c remembers, and h is what the cell makes of it for now: a prediction of what comes next.",
    whose="Olah 2015, Understanding LSTM Networks, on the output gate",
    commands=("python -m evidence --only prediction",),
    measure=_measure,
    judge=_judge,
    shown=(_MODEL, _name("1", "h"), _name("1", "c"), _name("column", "h"), _name("column", "c")),
    cost=10,
    bounds="There is one model, the one that `gatework explore --demo` opens, on 65,536 characters of this project's "
    "own Python (`evidence/text/held_out.txt`). A linear probe finds only information that is linearly readable; a "
    "layer above may extract more. The figures are accuracies for characters, and shares of explained variance for "
    "position and indentation.",
)
