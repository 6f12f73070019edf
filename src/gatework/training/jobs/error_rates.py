"""How far transcripts are from what was said, by the package jiwer, which is imported here alone.

Import this module through :func:`gatework.lazy.late`, because the package may not be installed.
"""

from collections.abc import Sequence

from gatework.errors import DataError

try:
    import jiwer
except ImportError:
    raise DataError(
        "Error rates of letters and words need the package jiwer, which is not installed. Run pip install "
        "'gatework[speech]'."
    ) from None


def error_rates(found: Sequence[str], told: Sequence[str]) -> dict[str, float]:
    """Return the shares of wrong letters and words: edits over the length of what was said, summed over all texts.

    Args:
        found: The transcripts of a model.
        told: What was said.

    Returns:
        ``cer`` of the letters and ``wer`` of the words; they may be above 1.

    Example:
        >>> error_rates(["so la"], ["do la la"])
        {'cer': 0.5, 'wer': 0.6666666666666666}
    """
    said, heard = list(told), list(found)
    return {"cer": float(jiwer.cer(said, heard)), "wer": float(jiwer.wer(said, heard))}
