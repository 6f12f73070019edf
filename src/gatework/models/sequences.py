"""The model, the loss and the metrics that all sequence tasks share."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatework.cells import Cell
from gatework.errors import SizeError
from gatework.heads import HEADS, Head
from gatework.models.loss import widened
from gatework.models.memories import refuse_memories
from gatework.models.state import State
from gatework.nn import Recurrent, last_states
from gatework.nn.dropout import LockedDropout
from gatework.nn.layers import read_cell
from gatework.tasks.task import Batch, Task

# The number of steps to measure at once if all sequences are equally long; the state is carried to the next part.
_PART = 2048
# The most numbers of the layers' output in memory at once during a measurement.
_MOST_OUTPUTS = 2**25


@dataclass(frozen=True)
class Score:
    """The metrics of a model on sequences; the scores of parts add up.

    Args:
        loss: The sum of the loss.
        asked: The number of steps with a target.
        right: The number of steps with a correct answer.
        sequences: The number of sequences with a target.
        solved: The number of sequences with only correct answers.
        off: The sum of absolute errors of answers with a distance (averaged over the numbers of a step).
        judged: Whether it is defined which answers are correct.
        numbers: Whether answers have a distance from their targets.
        baseline: The sum of the errors of the trivial predictor on the same steps: wrong answers, or squared errors for
            the kind ``number``. None if the sequences define no such predictor.
        scaled: The sum of these absolute errors, weighted as the sequences say. None if they do not say it.
        kl: For a model with latent variables, whose loss is a bound: the sum of the KL divergence in it. Then no answer
            is judged. None for other models.
        estimate: For such a model the sum of the importance-weighted estimates of the loss. None if there is none.
    """

    loss: float = 0.0
    asked: int = 0
    right: int = 0
    sequences: int = 0
    solved: int = 0
    off: float = 0.0
    judged: bool = True
    numbers: bool = False
    baseline: float | None = None
    scaled: float | None = None
    kl: float | None = None
    estimate: float | None = None

    @classmethod
    def of_sums(cls, sums: Sequence[float], task: Task) -> "Score":
        """Make a score from the result of :meth:`sums`, or from the total of several such results."""
        loss, off, *counts = sums[:6]
        asked, right, sequences, solved = map(int, counts)
        head, answers = HEADS[task.kind], isnan(sums[8])
        judged, numbers = answers and head.judged(task.tolerance), answers and head.distances
        rest = (None if isnan(value) else value for value in sums[6:])
        return cls(loss, asked, right, sequences, solved, off, judged, numbers, *rest)

    def sums(self) -> list[float]:
        """Return the sums, which add up over the parts of a split; NaN represents a missing one."""
        known = self.baseline, self.scaled, self.kl, self.estimate
        rest = (nan if value is None else value for value in known)
        return [self.loss, self.off, self.asked, self.right, self.sequences, self.solved, *rest]

    def named(self) -> dict[str, float]:
        """Return the metrics by name.

        Returns:
            ``loss`` per step with a target. If answers can be correct: ``accuracy``, the share of correct answers, and
            ``solved``, the share of sequences with only correct answers. For numbers: ``mean_absolute_error``, and
            ``mase``, the mean absolute scaled error, if the sequences have weights for it. If there is a baseline:
            ``skill``, the share of the baseline's errors that the model avoids. It is 1 for a model
            without errors, 0 for a model that is no better than the baseline, and 0 if the baseline has no errors.
            For a model with latent variables ``kl``, and ``estimate`` if it was asked for, both per step with a target.

        Example:
            >>> Score(loss=3.0, asked=4, right=3, sequences=2, solved=1, baseline=2.0).named()
            {'loss': 0.75, 'accuracy': 0.75, 'solved': 0.5, 'skill': 0.5}
        """
        values = {"loss": self.loss / max(1, self.asked)}
        if self.judged:
            values["accuracy"] = self.right / max(1, self.asked)
            values["solved"] = self.solved / max(1, self.sequences)
        if self.numbers:
            values["mean_absolute_error"] = self.off / max(1, self.asked)
        if self.scaled is not None:
            values["mase"] = self.scaled / max(1, self.asked)
        if self.baseline is not None:
            errors = self.loss if self.numbers else self.asked - self.right
            values["skill"] = 1 - errors / self.baseline if self.baseline else 0.0
        known = {"kl": self.kl, "estimate": self.estimate}
        return values | {name: value / max(1, self.asked) for name, value in known.items() if value is not None}


def needs_projection(
    cell: Cell | str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    proj_size: int = 0,
    *,
    bidirectional: bool = False,
    skip: str | None = None,
) -> bool:
    """Tell whether a cell needs a learned map before the first layer.

    Args:
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        input_size: The number of features of the input.
        hidden_size: The number of units of each layer.
        num_layers: The number of layers.
        proj_size: The size of a projected output, which the layers above receive; 0 for none.
        bidirectional: Whether each layer has a second direction, whose output the layers above receive too.
        skip: As for :class:`gatework.nn.Recurrent`.

    Returns:
        True if the equations combine the input elementwise with the units, and a layer receives an input of another
        size.

    Raises:
        CellError: If there is no such cell.
        EquationError: If equations cannot be parsed.

    Example:
        >>> needs_projection("mut1", 2, 8), needs_projection("mut1", 8, 8), needs_projection("gru", 2, 8)
        (True, False, False)
    """
    known = read_cell(cell, 0)
    # The check of the equations has determined whether the input has the size of the units, so no list of cells is
    # needed.
    elementwise = any(known.step.sizes_of[name] == "hidden_size" for name in known.inputs[:1])
    above = (proj_size or hidden_size) * (2 if bidirectional else 1) + (input_size if skip in ("in", "both") else 0)
    above = above if num_layers > 1 else hidden_size
    return elementwise and not input_size == above == hidden_size


class SequenceModel(nn.Module):
    """Predict targets of sequences, with recurrent layers and a linear head that is used only at steps with a target.

    If :func:`needs_projection` is true, a learned map brings the input to the size of the units.

    Args:
        inputs: The number of input features; for symbols, the number of different symbols.
        outputs: The number of scores; or the head that they are for, which knows their number.
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        hidden_size: The number of units of each layer.
        num_layers: The number of layers.
        symbols: Whether the inputs are symbols.
        embedding_size: The size of learned embeddings of symbols; None for one-hot vectors.
        proj_size: The size of a projected output; 0 for none.
        dropout: The probability of dropout between the layers and before the head.
        locked_dropout: Whether dropout zeroes the same features at every step of a sequence (Gal & Ghahramani 2016).
        asked_last: Whether a sequence is asked at its last step alone. Layers of two directions then answer from the
            last states of both, each of which has read the whole sequence.
        options: Further keyword options of :class:`gatework.nn.Recurrent`.

    Raises:
        SizeError: If sizes or options do not fit, as for the layers.
        CellError: If the cell reads a memory.

    Example:
        >>> SequenceModel(2, 1, "mut1", 8).recurrent
        Recurrent(mut1, 2, 8, input_projection=True)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int | Head,
        cell: Any,
        hidden_size: int,
        num_layers: int = 1,
        *,
        symbols: bool = False,
        embedding_size: int | None = None,
        proj_size: int = 0,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        asked_last: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        refuse_memories(cell, "sequence model")
        self.inputs, self.asked_last = inputs, asked_last
        self.embedding = nn.Embedding(inputs, embedding_size) if symbols and embedding_size else None
        between = dropout if num_layers > 1 else 0.0
        width = embedding_size if self.embedding is not None and embedding_size else inputs
        wired = {name: options[name] for name in ("bidirectional", "skip") if name in options}
        if needs_projection(cell, width, hidden_size, num_layers, proj_size, **wired):
            options.setdefault("input_projection", True)
        self.recurrent = Recurrent(
            cell,
            width,
            hidden_size,
            num_layers,
            dropout=between,
            locked_dropout=locked_dropout,
            proj_size=proj_size,
            **options,
        )
        if asked_last and self.recurrent.bidirectional and not self.recurrent.wiring.is_plain:
            raise SizeError(
                "asked_last is True for layers of two directions with skip or connection, whose output at the end is "
                "more than their last states. Leave these options out, or asked_last."
            )
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.answers = outputs if isinstance(outputs, Head) else None
        self.head = nn.Linear(self.recurrent.output_size, outputs.numbers if isinstance(outputs, Head) else outputs)

    def read(self, inputs: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Run the layers.

        Args:
            inputs: Numbers ``[T, B, I]`` or symbols ``[T, B]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            state: The state before the first step; None for the initial state.

        Returns:
            The input of the head ``[T, B, H]``, and the state at the end.
        """
        if self.embedding is not None:
            signal = self.embedding(inputs)
        elif inputs.dim() == 2:
            signal = functional.one_hot(inputs, self.inputs).to(self.head.weight.dtype)
        else:
            signal = inputs
        output, state = self.recurrent(signal, state, lengths=lengths)
        if self.asked_last and self.recurrent.bidirectional:
            output = _with_last(output, last_states(self.recurrent, state), lengths)
        return self.dropout(output), state

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Score every answer at every step.

        Args:
            inputs: Numbers ``[T, B, I]`` or symbols ``[T, B]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            state: The state before the first step; None for the initial state.

        Returns:
            Scores ``[T, B, O]``, and the state at the end.
        """
        output, state = self.read(inputs, lengths, state)
        return self.head(output), state

    def answering(self, kind: str) -> Head:
        """Find the head of the scores.

        Args:
            kind: The name of the head.

        Returns:
            The head that the model was built with, if it is this one; otherwise one with an answer for every score.

        Raises:
            ConfigError: If there is no such head.
            SizeError: If the head wants another number of scores.
        """
        if self.answers is not None and self.answers.name == kind:
            return self.answers
        found = HEADS[kind](self.head.out_features)
        if found.numbers != self.head.out_features:
            raise SizeError(
                f"The model gives {self.head.out_features:,} scores, and was built without the head '{kind}', which "
                f"wants {found.numbers:,} for answers of that size. Build it with the head in place of the number."
            )
        return found

    def loss(self, batch: Batch, kind: str, state: State = None) -> tuple[Tensor, int, State]:
        """Sum the loss over the targets.

        Args:
            batch: The sequences.
            kind: The name of the head.
            state: The state before the first step; None for the initial state.

        Returns:
            The sum, the number of targets, and the state at the end.
        """
        output, state = self.read(batch.inputs, batch.lengths, state)
        losses = self.answering(kind).losses(output, batch.targets, batch.lengths, self.head)
        return losses.sum(), int(batch.asked.sum()), state

    def measure(self, batch: Batch, task: Task) -> "tuple[Score, dict[int, dict[str, float]]]":
        """Measure the model on sequences; see :func:`measure_sequences`."""
        return measure_sequences(self, batch, task)


def _with_last(output: Tensor, last: Tensor, lengths: Tensor | None) -> Tensor:
    """Put vectors ``[B, H]`` in place of the outputs ``[T, B, H]`` at the last step of each sequence."""
    steps = torch.arange(output.shape[0], device=output.device)[:, None]
    ends = output.shape[0] if lengths is None else lengths.to(output.device)
    return torch.where((steps == ends - 1)[..., None], last, output)


class _Tally:
    """The counts of a measurement that reads sequences part by part.

    Args:
        head: The head of the scores.
        tolerance: The largest error of a correct answer, for numbers.
        size: The number of sequences.
        device: The device of the sequences.
    """

    def __init__(self, head: Head, tolerance: float | None, size: int, device: torch.device) -> None:
        self.head, self.tolerance = head, tolerance
        self.wrong = torch.zeros(size, dtype=torch.int64, device=device)
        self.asked = torch.zeros_like(self.wrong)
        self.loss = self.off = 0.0
        self.baseline = self.scaled = nan

    def take(self, scores: Tensor, batch: Batch) -> None:
        """Count one part of the steps, with scores ``[T, B, O]``."""
        head, asked = self.head, batch.asked
        self.loss += float(widened(head.losses(scores, batch.targets, batch.lengths)).sum())
        if head.distances:
            away = head.distance(scores[asked], batch.targets[asked])
            self.off += float(widened(away.mean(dim=-1)).sum())
            if batch.weights is not None:
                self.scaled = (0.0 if isnan(self.scaled) else self.scaled) + _scaled(away, asked, batch.weights)
        if batch.baseline is not None:
            errors = _errors(batch.targets[asked], head, batch.baseline)
            self.baseline = (0.0 if isnan(self.baseline) else self.baseline) + errors
        self.wrong += head.wrong(scores, batch.targets, batch.lengths, batch.legal, self.tolerance)
        self.asked += asked.sum(dim=0)

    def sums(self, which: Tensor | None = None) -> list[float]:
        """Return the sums of a score; for a selection of sequences, only those that are counted per sequence."""
        wrong, asked = (self.wrong, self.asked) if which is None else (self.wrong[which], self.asked[which])
        some = asked > 0
        errors, rest = (
            ([self.loss, self.off], [self.baseline, self.scaled]) if which is None else ([0.0] * 2, [nan] * 2)
        )
        counts = asked.sum(), (asked - wrong).sum(), some.sum(), (some & (wrong == 0)).sum()
        return [*errors, *(float(count) for count in counts), *rest, nan, nan]


def _scaled(away: Tensor, asked: Tensor, weights: Tensor) -> float:
    """Sum absolute errors ``[n, O]`` at the steps with a target ``[T, B]``, weighted by ``[B, C]``."""
    of_row = away.unflatten(-1, (-1, weights.shape[1])).mean(dim=-2)  # [n, C], averaged over the steps ahead
    return float(widened((of_row * weights[asked.nonzero()[:, 1]]).mean(dim=-1)).sum())


def _errors(targets: Tensor, head: Head, answer: int) -> float:
    """Sum the errors of a predictor that always gives the same answer: wrong classes, or squared errors."""
    if head.counted:
        return float((targets != answer).sum())
    return float(widened((targets - answer).square().mean(dim=-1)).sum())


@torch.no_grad()
def measure_sequences(model: SequenceModel, batch: Batch, task: Task) -> tuple[Score, dict[int, dict[str, float]]]:
    """Measure a model on sequences.

    Args:
        model: The model. It is set to evaluation mode, and afterwards back to its mode.
        batch: The sequences.
        task: The task.

    Returns:
        The score; and for each group of sequences its ``accuracy``, ``solved`` and number of ``sequences``.
    """
    training = model.training
    model.eval()
    weight = model.head.weight
    total, groups = torch.zeros(10, dtype=torch.float64), {}
    head = model.answering(task.kind)
    longest = batch.inputs.shape[0]
    both = model.recurrent.bidirectional
    columns = max(1, _MOST_OUTPUTS // ((longest if both else min(_PART, longest)) * max(weight.shape)))
    for first in range(0, batch.size, columns):
        part = batch.columns(slice(first, first + columns)).to(weight.device, weight.dtype)
        tally = _Tally(head, task.tolerance, part.size, weight.device)
        state: State = None
        # Sequences of different lengths are read as a whole, and so are those that are judged as a whole or read in
        # both directions; others of equal length part by part.
        whole = part.lengths is not None or head.whole or model.recurrent.bidirectional
        length = part.inputs.shape[0] if whole else _PART
        for begin in range(0, part.inputs.shape[0], length):
            window = part.window(begin, begin + length)
            scores, state = model(window.inputs, part.lengths, state)
            tally.take(scores, window)
        total += torch.tensor(tally.sums(), dtype=torch.float64)
        for group in [] if part.groups is None else part.groups.unique().tolist():
            sums = torch.tensor(tally.sums(part.groups == group), dtype=torch.float64)
            groups[group] = groups.get(group, 0) + sums
    model.train(training)
    by_group = {group: _of_group(Score.of_sums(sums.tolist(), task)) for group, sums in sorted(groups.items())}
    return Score.of_sums(total.tolist(), task), by_group


def _of_group(score: Score) -> dict[str, float]:
    """Return the metrics that are counted per sequence."""
    named = score.named()
    return {name: named[name] for name in ("accuracy", "solved") if name in named} | {"sequences": score.sequences}
