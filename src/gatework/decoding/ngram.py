"""How probable a text is, by counts of its parts in other texts."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from math import log

from gatework.errors import DataError, SizeError

END = None
"""The end of a text, which an n-gram predicts as it does symbols. It also stands before the first symbol."""


class NGram:
    """Predict each symbol of a text from the few before it, by how often it followed them.

    The prediction after n - 1 symbols is mixed with the one after n - 2, and so on down to one in which all symbols are
    equally probable. The weight of the longer one is the share of its counts that were not new when they were counted
    (Witten-Bell). So the probabilities after any symbols sum to one, and none is 0.

    Args:
        texts: The texts, each a sequence of symbols: a string for characters, a list of strings for words, a list of
            numbers for labels.
        order: The number of symbols n that are counted together: 1 for frequencies, 2 for pairs.
        symbols: Further symbols that a text may have, though these do not.
        unknown: Whether there is room for symbols that are in no text. Each of them has the probability of one further
            symbol.

    Raises:
        SizeError: If the order is not a whole number of 1 or more.
        DataError: If there is no text, or a symbol is None.

    Source:
        Witten & Bell 1991 (doi:10.1109/18.87000), method C, mixed as in Chen & Goodman 1998, section 2.5.

    Example:
        >>> ngram = NGram(["abab", "abc"], order=2)
        >>> [round(ngram.probability(symbol, "a"), 3) for symbol in "abc"]
        [0.077, 0.827, 0.038]
        >>> round(sum(ngram.probability(symbol, "a") for symbol in (*ngram.symbols, END)), 9)
        1.0
    """

    def __init__(
        self,
        texts: Iterable[Sequence[Hashable]],
        order: int = 3,
        symbols: Iterable[Hashable] = (),
        unknown: bool = False,
    ) -> None:
        if type(order) is not int or order < 1:
            raise SizeError(f"order is {order!r}; expected a whole number of 1 or more.")
        self.order, self.unknown = order, unknown
        counts: dict[tuple[Hashable, ...], Counter[Hashable]] = {}
        known: dict[Hashable, None] = dict.fromkeys(symbols)
        read = 0
        for text in texts:
            read += 1
            known.update(dict.fromkeys(text))
            line = (*([END] * (order - 1)), *text, END)
            for place in range(order - 1, len(line)):
                for length in range(order):
                    counts.setdefault(line[place - length : place], Counter())[line[place]] += 1
        if not read:
            raise DataError("There is no text to count; expected at least one.")
        if END in known:
            raise DataError("A symbol is None, which stands for the end of a text; expected symbols of other kinds.")
        self.symbols = tuple(known)
        self._known = {*known, END}
        self._counts = counts
        self._sums = {context: (counter.total(), len(counter)) for context, counter in counts.items()}

    def probability(self, symbol: Hashable, before: Sequence[Hashable] = ()) -> float:
        """Return the probability of a symbol after others.

        Args:
            symbol: The symbol; None for the end of the text.
            before: The symbols before it, from the beginning of the text; only the last ones count.

        Returns:
            The probability, above 0.

        Raises:
            DataError: If the symbol is in no text, and there is no room for unknown ones.
        """
        if symbol not in self._known and not self.unknown:
            raise DataError(
                f"The symbol {symbol!r} is in no text of the n-gram. Give it as one of symbols, or make the n-gram "
                "with unknown=True."
            )
        context = self.context(before)
        share = 1 / (len(self._known) + self.unknown)
        for length in range(self.order):
            part = context[len(context) - length :]
            if part not in self._sums:
                break  # nor is any longer one
            total, kinds = self._sums[part]
            share = (self._counts[part][symbol] + kinds * share) / (total + kinds)
        return share

    def context(self, before: Sequence[Hashable]) -> tuple[Hashable, ...]:
        """Return what counts of the symbols before: the last n - 1, with None before the beginning.

        Args:
            before: The symbols from the beginning of the text.
        """
        reach = self.order - 1
        last = tuple(before[max(0, len(before) - reach) :])
        return (END,) * (reach - len(last)) + last

    def log_probability(self, text: Sequence[Hashable], ended: bool = True) -> float:
        """Return the logarithm of the probability of a text.

        Args:
            text: The symbols.
            ended: Whether the text ends there, or else may go on.

        Returns:
            The logarithm, in nats.

        Raises:
            DataError: If a symbol is in no text of the n-gram, and there is no room for unknown ones.

        Example:
            >>> round(NGram(["ab", "b"], order=1).log_probability("ab"), 3)
            -3.348
        """
        came = (*text, END) if ended else tuple(text)
        return sum(log(self.probability(symbol, came[:place])) for place, symbol in enumerate(came))
