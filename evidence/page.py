"""The page of evidence, docs/evidence.md, written from the committed results and nothing else."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence.claim import Claim, Word
from evidence.figures import Figure
from evidence.results import figures_of

PAGE = Path(__file__).parent.parent / "docs" / "evidence.md"

_TOP = """# Evidence

This page lists claims of essays and papers on gated recurrent networks, and what was measured here. Every number comes
from `make evidence`, which measures all of them again from fixed seeds. It fails if a number has left its bounds.

{summary}

| the claim | the command | measured here | verdict |
|---|---|---|---|
{rows}

Numbers in brackets are 95 % intervals over seeds, or over whatever else was drawn independently: Wilson's interval for
shares, Student's t for means, the bootstrap for medians. If five of five runs succeed, we can only say that at least
0.57 of such runs would succeed. For the median of few runs, no interval has exactly this coverage. The interval then
goes from the smallest run to the largest. It contains the true median in 75 of 100 cases with three runs, in 94 with
five, and in 98 with seven.

On the same machine, a repetition gives the same figures to the last digit. Another processor rounds differently, and
then training takes another course. A share must then stay inside its interval. A median or a mean must stay inside a
wider interval, which allows for the variation of a repetition in 99 of 100 cases. The bounds are stored with the
figures in `evidence/results/`. The code in `evidence/claims/` computes the verdicts from the figures. "Does not hold"
also covers claims that were not shown here.

Two claims are measured on recorded data, in the folder that the environment variable `GATEWORK_DATA` names. Without
this folder, `make evidence` leaves their results unchanged and says so.

The sizes, gaps and budgets were chosen after preliminary runs that showed what small networks learn within minutes.
Some of them, and some criteria of the verdicts, were changed again after a first result. So a verdict holds for the
settings given under it. It is not a preregistered test.
"""
_PLURAL: dict[Word, str] = {
    "holds": "hold",
    "holds with a condition": "hold with a condition",
    "does not hold": "do not hold",
}
# Shares of no more things than these are told by their number.
_FEW = 20
_UNMEASURED = "| {claim} | {command} | not measured yet | |"


def write_page(claims: Sequence[Claim], results: Mapping[str, dict[str, Any]]) -> str:
    """Write the page.

    Args:
        claims: The claims, in the order of the page.
        results: The committed results by claim; one that was never measured is missing.

    Returns:
        The page in Markdown.
    """
    rows = [_row(claim, results.get(claim.id)) for claim in claims]
    sections = [_section(claim, results[claim.id]) for claim in claims if claim.id in results]
    seconds = sum(result["processor_seconds"] for result in results.values())
    count = sum(len(result["figures"]) for result in results.values())
    summary = (
        f"{_verdicts(claims, results)} There are {count} figures. Measuring them took {_duration(seconds)}, half of "
        "that in wall-clock time on two cores."
    )
    return _TOP.format(summary=summary, rows="\n".join(rows)) + "\n" + "\n".join(sections)


def _verdicts(claims: Sequence[Claim], results: Mapping[str, dict[str, Any]]) -> str:
    """Count the verdicts in words."""
    words = [claim.judge(figures_of(results[claim.id])).word for claim in claims if claim.id in results]
    if not words:
        return "Nothing is measured yet."
    counted = [f"{words.count(word)} {word if words.count(word) == 1 else many}" for word, many in _PLURAL.items()]
    return f"Of {len(words)} claims {counted[0]}, {counted[1]} and {counted[2]}."


def _row(claim: Claim, result: dict[str, Any] | None) -> str:
    link = f"[{claim.claim}](#{_anchor(claim.title)})"
    if result is None:
        return _UNMEASURED.format(claim=claim.claim, command=f"`{claim.commands[0]}`")
    figures = figures_of(result)
    told = "<br>".join(f"{name}: {shown(figures[name])}" for name in claim.shown)
    return f"| {link} | `{claim.commands[0]}` | {told} | **{claim.judge(figures).word}** |"


def _section(claim: Claim, result: dict[str, Any]) -> str:
    figures = figures_of(result)
    verdict = claim.judge(figures)
    lines = [f"## {claim.title}", "", f"{claim.claim} ({claim.whose})", ""]
    lines += [f"**It {verdict.word}.** {verdict.sentence}", ""]
    lines += ["```sh", *claim.commands, "```", ""]
    if result["picture"]:
        lines += [f"![{claim.title}](images/{result['picture']})", ""]
    lines += ["| | measured | on what |", "|---|---|---|"]
    lines += [f"| {figure.name} | {shown(figure)} | {figure.how} |" for figure in figures.values()]
    lines += [""]
    if claim.published:
        lines += ["Published:", "", *[f"- {line}" for line in claim.published], ""]
    lines += [f"Limits: {claim.bounds}", ""]
    for remark in result["remarks"]:
        lines += [remark, ""]
    lines += [f"Measured with {_settings(result['settings'])}, in {_duration(result['processor_seconds'])}.", ""]
    return "\n".join(lines)


def _anchor(title: str) -> str:
    """Give the anchor that the page's reader makes of a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_value(one)}" for name, one in value.items()) + ")"
    if isinstance(value, list | tuple):
        return "/".join(_value(one) for one in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s of processor time" if seconds < 120 else f"{seconds / 60:.0f} min of processor time"


def shown(figure: Figure) -> str:
    """Write a figure with its interval.

    Args:
        figure: The figure.

    Returns:
        Such as ``0.996 [0.991, 1]``, ``2.21 steps`` or, of few things, ``3 of 3 [0.439, 1]``.

    Example:
        >>> shown(Figure("half-life", 2.2127, 2.2127, 2.2127, "steps", 1, "", 2.2, 2.3))
        '2.21 steps'
    """
    unit = f" {figure.unit}" if figure.unit else ""
    if figure.counts and figure.n <= _FEW:
        return f"{round(figure.value * figure.n)} of {figure.n} [{number(figure.low)}, {number(figure.high)}]"
    if figure.low == figure.high == figure.value:
        return f"{number(figure.value)}{unit}"
    return f"{number(figure.value)}{unit} [{number(figure.low)}, {number(figure.high)}]"


def number(value: float) -> str:
    """Write a number with three digits that count.

    Args:
        value: The number.

    Returns:
        Its text; far from 1 with a power of ten.

    Example:
        >>> [number(value) for value in (0.99512, 1.0, 1234.4, 2.3e-14, math.inf, 0.0)]
        ['0.995', '1', '1,234', '2.3·10⁻¹⁴', '∞', '0']
    """
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, _, power = f"{value:.1e}".partition("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{mantissa.replace('-', '−')}·10{raised}"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")
