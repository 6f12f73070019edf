"""Models of sequences with latent variables: a cell that draws them, and a head that says what follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gatework.cells import Cell, generating
from gatework.cells.latent import BEFORE, DECODED, EXPLAINED, NOISE, POSTERIOR, PRIOR, decoded
from gatework.errors import SizeError
from gatework.heads import Head
from gatework.heads.head import wide
from gatework.models.bounds import importance_weighted, kl_divergence, log_ratio
from gatework.models.loss import widened
from gatework.models.sequences import Score
from gatework.models.state import State
from gatework.nn import Recurrent
from gatework.nn.dropout import LockedDropout
from gatework.nn.layers import read_cell
from gatework.tasks.task import Batch, Task

# The most numbers that one quantity of the cell has in memory at once during a measurement.
_MOST_NUMBERS = 2**23
# Every measurement draws the same noise, so that the measurements of one run can be compared.
_SEED = 0


@dataclass(frozen=True)
class Drawn:
    """What a model says of sequences for one draw of their latent numbers, at the n steps with a target.

    Args:
        asked: The steps with a target ``[T, B]``, bool.
        likelihood: The logarithm of p(x | z) at each of them ``[n]``, in nats.
        posterior: The means and standard deviations of q(z) at each of them ``[n, Z]``.
        prior: Those of p(z).
        noise: The standard normal numbers of which z was made ``[n, Z]``.
    """

    asked: Tensor
    likelihood: Tensor
    posterior: tuple[Tensor, Tensor]
    prior: tuple[Tensor, Tensor]
    noise: Tensor

    @cached_property
    def divergence(self) -> Tensor:
        """The KL divergence of posterior and prior at each step with a target ``[n]``, in nats."""
        return kl_divergence(*self.posterior, *self.prior)

    @property
    def bound(self) -> Tensor:
        """The bound on the log-likelihood of each sequence ``[B]``, with its KL divergence in closed form."""
        return self._summed(self.likelihood - self.divergence)

    @property
    def log_weights(self) -> Tensor:
        """The logarithm of the weight of the draw for each sequence ``[B]``; see :mod:`gatework.models.bounds`."""
        mean, deviation = self.posterior
        return self._summed(self.likelihood + log_ratio(mean + deviation * self.noise, mean, deviation, *self.prior))

    def _summed(self, values: Tensor) -> Tensor:
        whole = values.new_zeros(self.asked.shape)
        whole[self.asked] = values
        return whole.sum(dim=0)


class LatentModel(nn.Module):
    """Explain sequences by latent numbers that a cell draws at every step.

    The model explains each target of a sequence, from all steps before it and the latent numbers. The first step is
    given, as it is to a network that predicts the next step: there the latent numbers come from the posterior and cost
    nothing. So the loss is a bound, from above, on minus the log-likelihood of the same targets, given the same step.

    Args:
        inputs: The number of features of a step.
        outputs: The head, whose answers have this number of features.
        cell: A cell with latent variables; see :mod:`gatework.cells.latent`.
        hidden_size: The number of units, and the size of all names of the cell that have one of their own.
        latent_size: The number of latent numbers of a step; None for ``hidden_size``.
        dropout: The probability of dropout before the head.
        locked_dropout: Whether dropout zeroes the same features at every step of a sequence.
        options: Further keyword options of :class:`gatework.nn.Recurrent`.

    Raises:
        CellError: If the cell has no latent variables, or what it decodes knows what is to be explained.
        SizeError: If the answers of the head are no steps, or the layer would read backward in time.

    Example:
        >>> from gatework.heads import Bits
        >>> model = LatentModel(3, Bits(3), "vrnn", 8, latent_size=2)
        >>> model.recurrent
        Recurrent(vrnn, (3, 2), 8, sizes={'z': 2})
        >>> model.draw(torch.zeros(1, 4, 3), 6, torch.Generator()).shape
        torch.Size([6, 4, 3])
    """

    def __init__(
        self,
        inputs: int,
        outputs: Head,
        cell: Cell | str,
        hidden_size: int,
        *,
        latent_size: int | None = None,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        known = read_cell(cell, 0)
        self.prior = generating(known)
        if options.get("bidirectional"):
            raise SizeError(
                f"bidirectional is True; expected False for the cell `{known.name}`: read backward, it would know the "
                "steps that it has to explain."
            )
        if outputs.counted or outputs.whole or outputs.size != inputs:
            raise SizeError(
                f"The head '{outputs.name}' gives {outputs.gives}, {outputs.size:,} of them, and a step has {inputs:,} "
                f"features; expected a head for {inputs:,} numbers or questions of a step, since the cell "
                f"`{known.name}` explains whole steps."
            )
        latent, key = latent_size or hidden_size, known.step.sizes_of[NOISE]
        sizes = {EXPLAINED: inputs, BEFORE: inputs, NOISE: latent}
        own = {key.removeprefix("size_"): latent} if key.startswith("size_") else {}
        self.inputs, self.options = inputs, options
        read = tuple(sizes[name] for name in known.inputs)
        self.recurrent = Recurrent(known, read, hidden_size, sizes=own, **options)
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.answers = outputs
        self.head = nn.Linear(self.recurrent.layers[0].size(decoded(known)), outputs.numbers)

    @property
    def latent_size(self) -> int:
        """The number of latent numbers of a step."""
        return self.recurrent.layers[0].size(NOISE)

    def explain(
        self, sequence: Tensor, asked: Tensor, lengths: Tensor | None = None, noise: Tensor | None = None
    ) -> Drawn:
        """Draw the latent numbers of sequences once, and say how probable the sequences then are.

        Args:
            sequence: The steps ``[T, B, D]``, without NaN.
            asked: The steps that are explained ``[T, B]``, bool; the others are given.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            noise: Standard normal numbers ``[T, B, Z]``; None draws them from torch's own generator.

        Returns:
            The terms of the bound.
        """
        if noise is None:
            noise = torch.randn(*sequence.shape[:2], self.latent_size, dtype=sequence.dtype, device=sequence.device)
        signal, record, _ = self._run(self.recurrent, sequence, noise, None, lengths, (*POSTERIOR, *PRIOR))
        scores = self.head(self.dropout(signal)[asked])
        mean, deviation, prior_mean, prior_deviation = (wide(record[name][asked]) for name in (*POSTERIOR, *PRIOR))
        likelihood = -self.answers.loss(scores, sequence[asked])
        return Drawn(asked, likelihood, (mean, deviation), (prior_mean, prior_deviation), wide(noise[asked]))

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Score every step from latent numbers at their posterior means, which have read the step itself.

        This is a reconstruction and no prediction; :meth:`explain` has what is probable, and :meth:`draw` what follows.

        Args:
            inputs: The steps ``[T, B, D]``.
            lengths: The number of steps of each sequence ``[B]``; None if all have T.
            state: The state before the first step; None for the initial state.

        Returns:
            The numbers of the head ``[T, B, N]``, and the state at the end.
        """
        noise = inputs.new_zeros(*inputs.shape[:2], self.latent_size)
        signal, _, state = self._run(self.recurrent, inputs, noise, state, lengths)
        return self.head(self.dropout(signal)), state

    def loss(self, batch: Batch, kind: str, state: State = None, kl_weight: float = 1.0) -> tuple[Tensor, int, State]:
        """Sum the bound on minus the log-likelihood over the targets, with noise from torch's own generator.

        Args:
            batch: The sequences, whose targets are the inputs one step later.
            kind: The name of the head, which the model has.
            state: None: a sequence is explained as a whole.
            kl_weight: The weight of the KL divergence. With 1, the sum is a bound.

        Returns:
            The sum in nats, the number of targets, and None.
        """
        drawn = self.explain(*_joined(batch))
        total = (kl_weight * drawn.divergence - drawn.likelihood).sum()
        return total, int(batch.asked.sum()), None

    @torch.no_grad()
    def measure(self, batch: Batch, task: Task, draws: int = 0) -> tuple[Score, dict[int, dict[str, float]]]:
        """Measure the bound on sequences, and the importance-weighted estimate.

        Args:
            batch: The sequences, whose targets are the inputs one step later.
            task: The task.
            draws: The number of draws K of the estimate. The bound is then averaged over the same draws. 0 for one draw
                and no estimate.

        Returns:
            The score, and no groups.
        """
        training = self.training
        self.eval()
        generator = torch.Generator(self.head.weight.device).manual_seed(_SEED)
        bound = divergence = estimate = 0.0
        for part in self._parts(batch, draws):
            drawn = self._repeated(part, max(1, draws), generator)
            bound += float(widened(drawn.bound).sum()) / max(1, draws)
            divergence += float(widened(drawn.divergence).sum()) / max(1, draws)
            if draws:
                estimate += float(importance_weighted(widened(drawn.log_weights).view(draws, -1)).sum())
        self.train(training)
        asked, told = int(batch.asked.sum()), int(batch.asked.any(dim=0).sum())
        found = {"kl": divergence, "estimate": -estimate if draws else None}
        return Score(loss=-bound, asked=asked, sequences=told, judged=False, **found), {}

    def _parts(self, batch: Batch, draws: int) -> Iterator[Batch]:
        """Cut a batch into parts of a few sequences each, so that the draws of all of them fit into memory."""
        weight, units = self.head.weight, max(self.recurrent.layers[0].sizes.values())
        columns = max(1, _MOST_NUMBERS // (max(1, draws) * (batch.inputs.shape[0] + 1) * units))
        for first in range(0, batch.size, columns):
            yield batch.columns(slice(first, first + columns)).to(weight.device, weight.dtype)

    def _repeated(self, batch: Batch, draws: int, generator: torch.Generator) -> Drawn:
        """Draw the latent numbers of each sequence several times; the rows of the first draw come first."""
        sequence, asked, lengths = _joined(batch)
        sequence, asked = sequence.repeat(1, draws, 1), asked.repeat(1, draws)
        shape = (*sequence.shape[:2], self.latent_size)
        noise = torch.randn(shape, generator=generator, dtype=sequence.dtype, device=sequence.device)
        return self.explain(sequence, asked, None if lengths is None else lengths.repeat(draws), noise)

    @torch.no_grad()
    def draw(self, begin: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """Draw how sequences go on, step by step: latent numbers from the prior, and a step from the head.

        Args:
            begin: The steps that are given, one or more ``[T, B, D]``. Their latent numbers come from the posterior.
            steps: The number of steps to draw.
            generator: The random generator, on the device of the model.

        Returns:
            The steps that follow ``[steps, B, D]``.

        Raises:
            SizeError: If no step is given.
        """
        if begin.dim() != 3 or not len(begin) or begin.shape[2] != self.inputs:
            raise SizeError(
                f"The beginning has the shape {list(begin.shape)}; expected [T, B, {self.inputs}], with one step or "
                "more."
            )
        training = self.training
        self.eval()
        layer = self._prior_layer()

        def noise(count: int) -> Tensor:
            shape = (count, begin.shape[1], self.latent_size)
            return torch.randn(shape, generator=generator, dtype=begin.dtype, device=begin.device)

        _, _, state = self._run(self.recurrent, begin, noise(len(begin)))
        last, found = begin[-1:], []
        for _ in range(steps):
            drawn = noise(1)
            # Once for what the head reads, which no x of this step reaches, and once for the state, which x does.
            signal, _, _ = self._run(layer, torch.zeros_like(last), drawn, state, before=last)
            now = self.answers.sample(self.head(signal), generator).to(begin.dtype)
            _, _, state = self._run(layer, now, drawn, state, before=last)
            found.append(now)
            last = now
        self.train(training)
        return torch.cat(found) if found else begin[:0]

    def _prior_layer(self) -> Recurrent:
        """Return a layer with the same weights that draws from its prior."""
        first = self.recurrent.layers[0]
        sizes = tuple(first.size(name) for name in self.prior.inputs)
        kept = {entry.partition("=")[0] for entry in self.prior.own_sizes}
        own, weight = {name: first.size(name) for name in kept}, self.head.weight
        with torch.random.fork_rng(devices=[]):  # the values drawn here are overwritten
            layer = Recurrent(self.prior, sizes, first.hidden_size, sizes=own, **self.options)
        learned = self.recurrent.state_dict()
        layer.load_state_dict({name: learned[name] for name in layer.state_dict()})
        return layer.to(device=weight.device, dtype=weight.dtype).eval()

    def _run(
        self,
        layer: Recurrent,
        sequence: Tensor,
        noise: Tensor,
        state: State = None,
        lengths: Tensor | None = None,
        names: tuple[str, ...] = (),
        before: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Any], State]:
        """Run a layer; return what the head reads ``[T, B, H]``, the named quantities, and the state at the end."""
        if before is None:
            before = torch.cat([torch.zeros_like(sequence[:1]), sequence[:-1]])
        given = {EXPLAINED: sequence, BEFORE: before, NOISE: noise}
        wanted = (*names, *((DECODED,) if DECODED in layer.cell.outputs else ()))
        inputs = tuple(given[name] for name in layer.cell.inputs)
        output, state, (record,) = layer.record(inputs, state, names=wanted, lengths=lengths)
        return record.get(DECODED, output), record, state


def _joined(batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Join the first input and the targets of sequences: the steps ``[T + 1, B, D]``, which are asked, the lengths."""
    sequence = torch.cat([batch.inputs[:1], batch.targets]).nan_to_num()
    asked = torch.cat([torch.zeros_like(batch.asked[:1]), batch.asked])
    return sequence, asked, None if batch.lengths is None else batch.lengths + 1


def is_continued(batch: Batch) -> bool:
    """Tell whether the targets of sequences are their inputs one step later, at every step.

    Args:
        batch: The sequences.

    Example:
        >>> steps = torch.arange(8.0).view(4, 2, 1)
        >>> is_continued(Batch(steps[:-1], steps[1:])), is_continued(Batch(steps[:-1], steps[:-1]))
        (True, False)
    """
    inputs, targets = batch.inputs, batch.targets
    if inputs.dim() != 3 or inputs.shape != targets.shape:
        return False
    place = torch.arange(len(inputs))[:, None]
    within = place < (len(inputs) if batch.lengths is None else batch.lengths)
    if not torch.equal(batch.asked, within.expand(batch.asked.shape)):
        return False
    return torch.equal(inputs[1:][within.expand(batch.asked.shape)[1:]], targets[:-1][batch.asked[1:]])
