"""The head of polyphonic music: which of many keys are down together."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatework.heads.head import Head, check_size, wide
from gatework.heads.symbols import draw_bits


class Chord(Head):
    """Many yes-no questions, answered jointly: each question is asked with all answers before it known (NADE).

    The loss is exact, and the probabilities of all answers sum to one. The model gives a bias for each of the K
    questions and for each of the H units of the head, at every step; the two matrices of the head are its own, and the
    same at all steps.

    Args:
        size: The number of questions K, such as the keys of a piano.
        hidden: The number of units H of the head.

    Source:
        Larochelle & Murray 2011, "The Neural Autoregressive Distribution Estimator", section 3; Boulanger-Lewandowski,
        Bengio & Vincent 2012 (arXiv:1206.6392), section 5.3, for biases that a recurrent network gives.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> head, scores = Chord(2, hidden=3), torch.randn(1, 5)
        >>> every = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> (-head.loss(scores.expand(4, 5), every)).exp().sum().round(decimals=5)
        tensor(1., grad_fn=<RoundBackward1>)
    """

    name: ClassVar[str] = "chord"
    gives: ClassVar[str] = "yes or no to several questions, answered together"
    questions: ClassVar[bool] = True

    def __init__(self, size: int, hidden: int = 128) -> None:
        super().__init__(check_size("size", size), size + check_size("hidden", hidden))
        self.hidden = hidden
        self.weight_in = nn.Parameter(torch.empty(size, hidden))  # from answers to units: row k is the paper's W_:,k
        self.weight_out = nn.Parameter(torch.empty(size, hidden))  # from units to questions: row k is the paper's V_k
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both matrices from U(-1/√H, 1/√H), as torch.nn.Linear draws the map to H outputs back."""
        for weight in (self.weight_in, self.weight_out):
            nn.init.uniform_(weight, -(self.hidden**-0.5), self.hidden**-0.5)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the negative logarithm of the probability of all answers together ``[...]``, in nats."""
        questions, units = wide(scores).split([self.size, self.hidden], dim=-1)  # [..., K] and [..., H]
        inward, outward = self.weight_in.to(questions.dtype), self.weight_out.to(questions.dtype)
        targets = targets.to(questions.dtype)
        # The units change only where the answer is yes. So they are computed once for each number of yeses before a
        # question, 0 to M, and most chords have few of them.
        before = (targets.cumsum(dim=-1) - targets).long()  # [..., K]
        most = int(targets.sum(dim=-1).max()) if targets.numel() else 0
        rank = torch.arange(most, device=targets.device)[:, None]  # [M, 1]
        given = (targets[..., None, :] * (before[..., None, :] == rank)) @ inward  # [..., M, H]: what each yes adds
        heard = torch.sigmoid(units[..., None, :] + functional.pad(given.cumsum(dim=-2), (0, 0, 1, 0)))
        asked = questions + (heard @ outward.t()).gather(-2, before[..., None, :]).squeeze(-2)
        return functional.binary_cross_entropy_with_logits(asked, targets, reduction="none").sum(dim=-1)

    def answer(self, scores: Tensor) -> Tensor:
        """Give the more probable of yes (1) and no (0) for each question in turn ``[..., K]``."""
        return self._in_turn(scores, None)

    def sample(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Draw yes (1) or no (0) for each question in turn ``[..., K]``."""
        return self._in_turn(scores, generator)

    @torch.no_grad()
    def _in_turn(self, scores: Tensor, generator: torch.Generator | None) -> Tensor:
        """Answer one question after the other; without a generator, by the more probable answer."""
        questions, units = wide(scores).split([self.size, self.hidden], dim=-1)
        given = []
        for number in range(self.size):
            weights = (weight[number].to(units.dtype) for weight in (self.weight_in, self.weight_out))
            inward, outward = weights
            asked = questions[..., number] + torch.sigmoid(units) @ outward
            one = (asked > 0).to(units.dtype) if generator is None else draw_bits(asked, generator)
            units = units + one[..., None] * inward
            given.append(one)
        return torch.stack(given, dim=-1)
