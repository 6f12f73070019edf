"""h as a prediction read off the memory c."""

from evidence.claim import Claim, Context, Measured, Verdict
from evidence.figures import Figures, mean
from evidence.jobs import run_jobs
from evidence.page import shown

ROWS = 32
FOLDS = 2
# What is asked for -> how it is called.
ASKED = {
    "1": "the next character",
    "0": "the character just read",
    "-5": "the fifth character before it",
    "column": "the place in the line",
    "indentation": "the indentation of the line",
}
_LASTING = ("column", "indentation")
_MODEL = "the next character, by the model itself"


def _name(what: str, state: str) -> str:
    return f"{ASKED[what]}, read off {state}"


def _more(what: str) -> str:
    return f"{ASKED[what]}: h less c"


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
        # The rows are the same for both, so that what makes one row harder than another falls out.
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
        f"A linear probe gets the next character right from h in {shown(figures[_name('1', 'h')])}, the model itself "
        f"in {shown(figures[_MODEL])}, a probe of c in {shown(figures[_name('1', 'c')])}. Of the place in the line it "
        f"explains {shown(figures[_name('column', 'h')])} of the variance from h and "
        f"{shown(figures[_name('column', 'c')])} from c."
    )
    if coming.low <= 0:
        return Verdict("does not hold", told)
    if any(one.high >= 0 for one in lasting):
        return Verdict("holds with a condition", f"{told} What lasts is not read better off c than off h.")
    if read.low > 0:
        end = "Of what lasts c says more, yet not of what is only just past: the last character, too, is read off h."
        return Verdict("holds with a condition", f"{told} {end}")
    return Verdict("holds", told)


CLAIM = Claim(
    id="prediction",
    title="h as a prediction from c",
    claim="The cell state c remembers, and h is what the cell makes of it for the moment: a prediction of what comes.",
    whose="Olah 2015, Understanding LSTM Networks, on the output gate",
    commands=("python -m evidence --only prediction",),
    measure=_measure,
    judge=_judge,
    shown=(_MODEL, _name("1", "h"), _name("1", "c"), _name("column", "h"), _name("column", "c")),
    cost=10,
    bounds="One model, the one that `gatework explore --demo` opens, on 65,536 characters of this project's own Python "
    "(`evidence/text/held_out.txt`). A linear probe finds what stands in a state plainly; what a layer above could "
    "still work out of it may be more. Accuracy for characters, the share of explained variance for places.",
)
