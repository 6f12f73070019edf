"""The flags of a search for transcripts, which `gatework evaluate` and `gatework transcribe` share."""

from dataclasses import dataclass

from cyclopts import Parameter

from gatework.cli.output import Size
from gatework.errors import ConfigError
from gatework.training.jobs.evaluation import Knowledge, Search


@Parameter(name="*")
@dataclass(frozen=True)
class SearchFlags:
    """What a search knows of the training transcripts, by an n-gram of them.

    Args:
        ngram: What the n-gram counts: words, letters, or none for no n-gram.
        ngram_order: The number of words or letters that are counted together.
        ngram_weight: What the log-probability by the n-gram counts, beside the one by the model; by default 0.7 with
            words and 1 with letters.
        bonus: What is added for each word or letter, because an n-gram prefers short texts; by default 4.5 for a word
            and 2 for a letter.
    """

    ngram: Knowledge = Search.ngram
    ngram_order: Size = Search.order
    ngram_weight: float | None = Search.weight
    bonus: float | None = Search.bonus

    def chosen(self, beams: int | None) -> Search | None:
        """Return the search.

        Args:
            beams: The number of prefixes that are kept; None or 0 for no search.

        Returns:
            The search; None if neither beams nor any of these flags are given.

        Raises:
            ConfigError: If one of these flags is given, and no beams are.
        """
        if beams:
            return Search(beams, self.ngram, self.ngram_order, self.ngram_weight, self.bonus)
        if self == NO_FLAGS:
            return None
        raise ConfigError("An n-gram or a bonus is given, and no search that it is for. Give --beams, such as 16.")


NO_FLAGS = SearchFlags()
