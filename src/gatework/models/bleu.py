"""BLEU by the package ``sacrebleu``, which is imported here alone.

Import this module through :func:`gatework.lazy.late`, because the package may not be installed.
"""

from collections.abc import Sequence

from gatework.errors import DataError

try:
    from sacrebleu.metrics.bleu import BLEU
except ImportError:
    raise DataError(
        "Translations are measured with the package sacrebleu, which is not installed. Run pip install "
        "'gatework[translate]'."
    ) from None


def count_matches(found: Sequence[str], told: Sequence[str], *, lowercase: bool) -> list[float]:
    """Count what BLEU is made of; the counts of several texts add up.

    Args:
        found: The translations.
        told: What each should have been.
        lowercase: Whether capitals count as small letters.

    Returns:
        For one to four words in a row how many were right, for each how many there are, and the number of words that
        were found and that were told: 10 numbers. Words are those of the tokeniser 13a.
    """
    if not found:
        return [0.0] * 10
    score = BLEU(lowercase=lowercase).corpus_score([*found], [[*told]])
    return [float(number) for number in (*score.counts, *score.totals, score.sys_len, score.ref_len)]


def score_matches(counts: Sequence[float]) -> float:
    """Return the BLEU of a text, from 0 to 100.

    Args:
        counts: What :func:`count_matches` gave, or the sum of several such lists.

    Source:
        Papineni, Roukos, Ward & Zhu 2002, ACL; Post 2018, arXiv:1804.08771, for the tokens.

    Example:
        >>> round(score_matches(count_matches(["the cat sat on the mat"], ["the cat sat on a mat"], lowercase=True)), 1)
        53.7
    """
    whole = [int(number) for number in counts]
    measure = BLEU()
    score = measure.compute_bleu(whole[:4], whole[4:8], *whole[8:], smooth_method=measure.smooth_method)
    return float(score.score)


def signature(*, lowercase: bool) -> str:
    """Return what a published figure must say of how it was measured.

    Args:
        lowercase: Whether capitals count as small letters.

    Example:
        >>> signature(lowercase=True)
        'nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:...'
    """
    measure = BLEU(lowercase=lowercase)
    measure.corpus_score(["a"], [["a"]])  # the signature counts the references that it has seen
    return str(measure.get_signature())
