"""The model, the loss and the metrics that every sequence task shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatework.cells import Cell
from gatework.models.state import State
from gatework.nn import Recurrent
from gatework.nn.layers import read_cell
from gatework.tasks.task import Batch, Kind, Task

# Steps that are measured at once where all sequences are equally long: the state goes on from one part to the next.
_PART = 2048
# Numbers of the layer's output that are held at once in measuring.
_MOST_OUTPUTS = 2**25


@dataclass(frozen=True)
class Score:
    """How well sequences were answered; scores of parts add up.

    Args:
        loss: The summed loss.
        asked: Steps at which something was asked.
        right: Steps at which the answer was right.
        sequences: The number of sequences at which something was asked.
        solved: Sequences whose every answer was right.
        off: Summed absolute errors, of kind ``number`` (averaged over the numbers of a step).
        judged: False where nothing says which answers are right.
        numbers: True of kind ``number``.
        baseline: Summed errors of the trivial predictor on the same steps: wrong answers, or of kind ``number`` its
            squared errors; None where the sequences name no such predictor.
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

    @classmethod
    def of_sums(cls, sums: Sequence[float], task: Task) -> "Score":
        """Make a score of what :meth:`sums` gives, or of the sum of several such."""
        loss, off, *counts, baseline = sums
        asked, right, sequences, solved = map(int, counts)
        judged, numbers = task.kind != "number" or task.tolerance is not None, task.kind == "number"
        return cls(loss, asked, right, sequences, solved, off, judged, numbers, None if isnan(baseline) else baseline)

    def sums(self) -> list[float]:
        """Return what adds up over the parts of a split; NaN stands for a baseline that is not there."""
        baseline = nan if self.baseline is None else self.baseline
        return [self.loss, self.off, self.asked, self.right, self.sequences, self.solved, baseline]

    def named(self) -> dict[str, float]:
        """Return the metrics by name.

        Returns:
            ``loss`` per step that asks; ``accuracy``, the share of right answers, and ``solved``, the share of
            sequences answered right throughout, where answers can be right; ``mean_absolute_error`` of numbers;
            ``skill``, where there is a baseline: the share of the baseline's errors that the model avoids. It is 1 for
            a model without errors, 0 for one that is no better than the baseline, and 0 where the baseline has none.

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
        if self.baseline is not None:
            errors = self.loss if self.numbers else self.asked - self.right
            values["skill"] = 1 - errors / self.baseline if self.baseline else 0.0
        return values


def needs_projection(
    cell: Cell | str, input_size: int, hidden_size: int, num_layers: int = 1, proj_size: int = 0
) -> bool:
    """Tell whether a cell can read such an input only through a learned map.

    Args:
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        input_size: Numbers that the first layer is given at each step.
        hidden_size: Units of each layer.
        num_layers: Layers, one above the other.
        proj_size: Size of a projected output, which is what the layers above are given; 0 for none.

    Returns:
        True where the equations use the input elementwise beside the units, and a layer is given another size.

    Raises:
        CellError: If there is no such cell.
        EquationError: If equations cannot be read.

    Example:
        >>> needs_projection("mut1", 2, 8), needs_projection("mut1", 8, 8), needs_projection("gru", 2, 8)
        (True, False, False)
    """
    known = read_cell(cell, 0)
    # The check of the equations gave the input the size of the units, or one of its own: no list of names is needed.
    elementwise = any(known.step.sizes_of[name] == "hidden_size" for name in known.inputs[:1])
    above = (proj_size or hidden_size) if num_layers > 1 else hidden_size
    return elementwise and not input_size == above == hidden_size


class SequenceModel(nn.Module):
    """Answer questions about sequences: recurrent layers, and a linear head that is read where something is asked.

    Where :func:`needs_projection` says so, a learned map brings the input to the size of the units.

    Args:
        inputs: Numbers read at each step, or symbols there are.
        outputs: Scores given.
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        hidden_size: Units of each layer.
        num_layers: Layers, one above the other.
        symbols: True where symbols are read.
        embedding_size: Read symbols as learned vectors of this size; None: as one-hot vectors.
        proj_size: Size of a projected output; 0 for none.
        dropout: Dropout between the layers and before the head.
        options: Further keyword options of :class:`gatework.nn.Recurrent`.

    Example:
        >>> SequenceModel(2, 1, "mut1", 8).recurrent
        Recurrent(mut1, 2, 8, input_projection=True)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        cell: Any,
        hidden_size: int,
        num_layers: int = 1,
        *,
        symbols: bool = False,
        embedding_size: int | None = None,
        proj_size: int = 0,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.embedding = nn.Embedding(inputs, embedding_size) if symbols and embedding_size else None
        between = dropout if num_layers > 1 else 0.0
        width = embedding_size if self.embedding is not None and embedding_size else inputs
        if needs_projection(cell, width, hidden_size, num_layers, proj_size):
            options.setdefault("input_projection", True)
        self.recurrent = Recurrent(
            cell, width, hidden_size, num_layers, dropout=between, proj_size=proj_size, **options
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(proj_size or hidden_size, outputs)

    def read(self, inputs: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Run the layers.

        Args:
            inputs: ``[T, B, I]`` numbers or ``[T, B]`` symbols.
            lengths: Steps of each sequence ``[B]``; None: all.
            state: The state to go on from; None at the beginning.

        Returns:
            What the head reads ``[T, B, H]``, and the state at the end.
        """
        if self.embedding is not None:
            signal = self.embedding(inputs)
        elif inputs.dim() == 2:
            signal = functional.one_hot(inputs, self.inputs).to(self.head.weight.dtype)
        else:
            signal = inputs
        output, state = self.recurrent(signal, state, lengths=lengths)
        return self.dropout(output), state

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Score every answer at every step.

        Args:
            inputs: ``[T, B, I]`` numbers or ``[T, B]`` symbols.
            lengths: Steps of each sequence ``[B]``; None: all.
            state: The state to go on from; None at the beginning.

        Returns:
            Scores ``[T, B, O]``, and the state at the end.
        """
        output, state = self.read(inputs, lengths, state)
        return self.head(output), state

    def loss(self, batch: Batch, kind: Kind, state: State = None) -> tuple[Tensor, int, State]:
        """Sum the loss over the steps that ask.

        Args:
            batch: The sequences.
            kind: What is asked.
            state: The state to go on from; None at the beginning.

        Returns:
            The sum, how many steps asked, and the state at the end.
        """
        output, state = self.read(batch.inputs, batch.lengths, state)
        asked = batch.asked
        # The head is asked only where an answer counts: at one step of a thousand in some tasks.
        scores, targets = self.head(output[asked]), batch.targets[asked]
        return losses(scores, targets, kind).sum(), len(targets), state


def losses(scores: Tensor, targets: Tensor, kind: Kind) -> Tensor:
    """Return the loss of each answer.

    Args:
        scores: ``[n, O]``.
        targets: Classes ``[n]``, or ``[n, O]``.
        kind: What is asked.

    Returns:
        ``[n]``: nats, or of kind ``number`` the squared error averaged over the numbers.
    """
    if kind == "choice":
        return functional.cross_entropy(scores, targets, reduction="none")
    if kind == "bits":
        return functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(dim=-1)
    return (scores - targets).square().mean(dim=-1)


def right(scores: Tensor, targets: Tensor, kind: Kind, legal: Tensor | None, tolerance: float | None) -> Tensor:
    """Tell which answers are right.

    Args:
        scores: ``[n, O]``.
        targets: Classes ``[n]``, or ``[n, O]``.
        kind: What is asked.
        legal: Of kind ``choice``, the classes that count as right ``[n, O]``.
        tolerance: Of kind ``number``, how far off is near enough.

    Returns:
        ``[n]``, bool. What is not a number is never right.
    """
    sound = torch.isfinite(scores).all(dim=-1)
    if kind == "choice" and legal is not None:
        worst = scores.masked_fill(~legal, float("inf")).amin(dim=-1)
        return sound & (worst > scores.masked_fill(legal, float("-inf")).amax(dim=-1))
    if kind == "choice":
        return sound & (scores.argmax(dim=-1) == targets)
    if kind == "bits":
        return sound & ((scores > 0) == (targets > 0.5)).all(dim=-1)
    if tolerance is None:
        return torch.zeros_like(sound)
    return sound & ((scores - targets).abs() < tolerance).all(dim=-1)


class _Tally:
    """What is counted while sequences are read part by part.

    Args:
        task: What is asked.
        size: How many sequences there are.
        device: Where they are.
    """

    def __init__(self, task: Task, size: int, device: torch.device) -> None:
        self.task = task
        self.wrong = torch.zeros(size, dtype=torch.int64, device=device)
        self.asked = torch.zeros_like(self.wrong)
        self.loss = self.off = 0.0
        self.baseline = nan

    def take(self, scores: Tensor, batch: Batch) -> None:
        """Count one part of the steps, ``scores [T, B, O]``."""
        kind, asked = self.task.kind, batch.asked
        answers, targets = scores[asked], batch.targets[asked]
        legal = None if batch.legal is None else batch.legal[asked]
        self.loss += float(losses(answers, targets, kind).double().sum())
        if kind == "number":
            self.off += float((answers - targets).abs().mean(dim=-1).double().sum())
        if batch.baseline is not None:
            self.baseline = (0.0 if isnan(self.baseline) else self.baseline) + _errors(targets, kind, batch.baseline)
        correct = torch.zeros_like(asked)
        correct[asked] = right(answers, targets, kind, legal, self.task.tolerance)
        self.wrong += (asked & ~correct).sum(dim=0)
        self.asked += asked.sum(dim=0)

    def sums(self, which: Tensor | None = None) -> list[float]:
        """Return the sums of a score; of some of the sequences only what is counted for each."""
        wrong, asked = (self.wrong, self.asked) if which is None else (self.wrong[which], self.asked[which])
        some = asked > 0
        errors, baseline = ([self.loss, self.off], self.baseline) if which is None else ([0.0, 0.0], nan)
        counts = asked.sum(), (asked - wrong).sum(), some.sum(), (some & (wrong == 0)).sum()
        return [*errors, *(float(count) for count in counts), baseline]


def _errors(targets: Tensor, kind: Kind, answer: int) -> float:
    """Sum the errors of a predictor that always gives the same answer: wrong classes, or squared errors."""
    if kind == "choice":
        return float((targets != answer).sum())
    return float((targets - answer).square().mean(dim=-1).double().sum())


@torch.no_grad()
def measure_sequences(model: SequenceModel, batch: Batch, task: Task) -> tuple[Score, dict[int, dict[str, float]]]:
    """Measure a model on sequences.

    Args:
        model: The model; it is set to evaluation, and back to what it was.
        batch: The sequences.
        task: What is asked of them.

    Returns:
        The score; and where sequences belong to groups, by group its ``accuracy``, ``solved`` and how many
        ``sequences`` it has.
    """
    training = model.training
    model.eval()
    weight = model.head.weight
    total, groups = torch.zeros(7, dtype=torch.float64), {}
    longest = batch.inputs.shape[0]
    columns = max(1, _MOST_OUTPUTS // (min(_PART, longest) * max(weight.shape)))
    for first in range(0, batch.size, columns):
        part = batch.columns(slice(first, first + columns)).to(weight.device, weight.dtype)
        tally = _Tally(task, part.size, weight.device)
        state: State = None
        # Sequences of several lengths are read whole; the others part by part, however long they are.
        length = part.inputs.shape[0] if part.lengths is not None else _PART
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
    """Return what is counted for each sequence."""
    named = score.named()
    return {name: named[name] for name in ("accuracy", "solved") if name in named} | {"sequences": score.sequences}
