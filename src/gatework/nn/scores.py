"""The kinds of attention: one row each, with its learned tensors and the weights that it gives to positions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gatework.errors import SizeError
from gatework.registry import Registry

Learned = Mapping[str, Tensor]


class Keys(NamedTuple):
    """A memory as an attention reads it, mapped once for any number of queries.

    What does not depend on the query is in here, so a loop need not compute it again at each step. bfloat16 and half
    are held in float32, except for several heads.

    Args:
        keys: What queries are compared with, [B, L, size]; [B, heads, L, size] with heads.
        values: What is summed, likewise; 0 on padding.
        present: Which positions exist, bool [B, L]; None if all do.
        dtype: The type of the memory, and of the context.
    """

    keys: Tensor
    values: Tensor
    present: Tensor | None
    dtype: torch.dtype

    def select(self, rows: Tensor) -> "Keys":
        """Choose rows, for example those that a beam search goes on with.

        Args:
            rows: The numbers of the rows, int64 [N]; a row may be chosen several times.

        Returns:
            The keys of these rows, N of them.

        Example:
            >>> keys = Keys(torch.zeros(2, 5, 4), torch.zeros(2, 5, 4), None, torch.float32)
            >>> keys.select(torch.tensor([1, 1, 0])).values.shape
            torch.Size([3, 5, 4])
        """
        present = None if self.present is None else self.present.index_select(0, rows)
        return Keys(self.keys.index_select(0, rows), self.values.index_select(0, rows), present, self.dtype)


Normalise = Callable[[Tensor], Tensor]  # scores [..., L] to weights
Weigh = Callable[[Learned, Tensor, Keys, Tensor | None, Normalise], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Kind:
    """One kind of attention.

    Args:
        name: The name.
        source: The paper, and the place in it.
        shapes: The shape of each learned tensor: H is the size of the query, D of the memory, A of the attention; K
            components, C filters of width W. Those whose name begins with ``bias`` may be left out.
        ask: Map queries [B, T, H] to what is compared with the keys.
        key: Map a memory [B, L, D] to keys.
        weigh: Give the weights [B, T, L] of mapped queries, and the state after the last of them. It computes in
            float32 or float64.
        options: The options that this kind takes.
        state: The size of the state that one step leaves to the next, K or L; empty if there is none.
    """

    name: str
    source: str
    shapes: Mapping[str, str]
    ask: Callable[[Learned, Tensor], Tensor]
    key: Callable[[Learned, Tensor], Tensor]
    weigh: Weigh
    options: frozenset[str] = field(default_factory=frozenset)
    state: str = ""


def wide(tensor: Tensor) -> Tensor:
    """Return bfloat16 and half as float32, so that sums are not rounded to their few digits; others as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def softmax(scores: Tensor, present: Tensor | None) -> Tensor:
    """Normalise scores over the positions that exist.

    The largest score of these is subtracted, so that no exponential overflows. Where no position exists, all weights
    are 0, and so are their gradients.

    Args:
        scores: [B, ..., L].
        present: Which positions exist, bool [B, L]; None if all do.

    Returns:
        The weights, in the same shape; 0 on padding.

    Example:
        >>> softmax(torch.tensor([[1.0, 1.0, 9.0], [1.0, 1.0, 9.0]]), torch.tensor([[True, True, False], [False] * 3]))
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.0000, 0.0000]])
    """
    if present is None:
        return scores.softmax(-1)
    present = present.view(len(present), *(1,) * (scores.dim() - 2), present.shape[-1])
    # A row of -inf alone would give 0/0.
    padding = torch.where(present.any(-1, keepdim=True), -torch.inf, 0.0).to(scores.dtype)
    return torch.where(present, scores, padding).softmax(-1).masked_fill(~present, 0)


# --- queries and keys


def _query(learned: Learned, query: Tensor) -> Tensor:
    return functional.linear(query, learned["weight_query"], learned.get("bias_query"))


def _memory(learned: Learned, memory: Tensor) -> Tensor:
    return functional.linear(memory, learned["weight_memory"])


def _joint_query(learned: Learned, query: Tensor) -> Tensor:
    return functional.linear(query, learned["weight_joint"][:, : query.shape[-1]])


def _joint_memory(learned: Learned, memory: Tensor) -> Tensor:
    return functional.linear(memory, learned["weight_joint"][:, -memory.shape[-1] :])


def _as_it_is(learned: Learned, given: Tensor) -> Tensor:
    return given


# --- weights


def _tanh_scores(learned: Learned, sums: Tensor) -> Tensor:
    """Score [..., A] by a learned vector; give [...]."""
    scores = sums.tanh() @ learned["weight_score"]
    return scores + learned["bias_score"] if "bias_score" in learned else scores


def _additive(
    learned: Learned, asked: Tensor, keys: Keys, state: Tensor | None, normalise: Normalise
) -> tuple[Tensor, None]:
    sums = asked.unsqueeze(2) + keys.keys.unsqueeze(1)  # [B, T, L, A]
    return normalise(_tanh_scores(learned, sums)), None


def _product(
    learned: Learned, asked: Tensor, keys: Keys, state: Tensor | None, normalise: Normalise
) -> tuple[Tensor, None]:
    return normalise(asked @ keys.keys.mT), None


def _window(
    learned: Learned, asked: Tensor, keys: Keys, state: Tensor | None, normalise: Normalise
) -> tuple[Tensor, Tensor]:
    # In float32 where the query has fewer digits: exponentials and sums over steps would enlarge what is rounded.
    height, sharpness, step = _query(learned, asked).exp().chunk(3, -1)  # [B, T, K] each
    start = asked.new_zeros(asked.shape[0], step.shape[-1]) if state is None else state
    kappa = torch.cat([start.unsqueeze(1), step], 1).cumsum(1)  # [B, 1 + T, K]
    places = torch.arange(1, keys.keys.shape[1] + 1, dtype=asked.dtype, device=asked.device)
    distances = kappa[:, 1:].unsqueeze(-1) - places  # [B, T, K, L]
    bells = height.unsqueeze(-1) * torch.exp(-sharpness.unsqueeze(-1) * distances.square())
    weights = bells.sum(2)
    if keys.present is not None:
        weights = weights.masked_fill(~keys.present.unsqueeze(1), 0)
    return weights, kappa[:, -1]


def _location(
    learned: Learned, asked: Tensor, keys: Keys, state: Tensor | None, normalise: Normalise
) -> tuple[Tensor, Tensor]:
    last = _on_the_first(keys, asked.dtype) if state is None else state
    filters = learned["weight_filters"].unsqueeze(1)  # [C, 1, W]
    weights = [last.new_zeros(len(last), 0, last.shape[1])]
    if not last.shape[1]:  # torch convolves no emptiness
        return last.new_zeros(*asked.shape[:2], 0), last
    for query in asked.unbind(1):
        seen = functional.conv1d(last.unsqueeze(1), filters, padding=filters.shape[-1] // 2)  # [B, C, L]
        seen = functional.linear(seen.mT, learned["weight_location"])
        last = normalise(_tanh_scores(learned, (query.unsqueeze(1) + keys.keys + seen).unsqueeze(1))).squeeze(1)
        weights.append(last.unsqueeze(1))
    return torch.cat(weights, 1), last


def _on_the_first(keys: Keys, dtype: torch.dtype) -> Tensor:
    """Give the weights before the first step, [B, L]: all is on the first position, as in the code of the authors."""
    rows, positions = keys.values.shape[:2]
    first = torch.arange(positions, device=keys.values.device).eq(0).expand(rows, -1)
    return (first if keys.present is None else first & keys.present).to(dtype)


# --- the table

_ADDITIVE = {"weight_query": "A H", "weight_memory": "A D", "bias_query": "A", "weight_score": "A"}
_TANH = frozenset({"attention_size", "scale"})

KINDS = Registry(
    Kind("additive", "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, appendix A.1.2",
         _ADDITIVE, _query, _memory, _additive, _TANH),
    Kind("dot", "Luong, Pham & Manning 2015, arXiv:1508.04025, equation 8",
         {}, _as_it_is, _as_it_is, _product, frozenset({"heads", "attention_size", "scale"})),
    Kind("general", "Luong, Pham & Manning 2015, arXiv:1508.04025, equation 8",
         {"weight_memory": "H D"}, _as_it_is, _memory, _product, frozenset({"scale"})),
    Kind("concat", "Luong, Pham & Manning 2015, arXiv:1508.04025, equation 8",
         {"weight_joint": "A H+D", "weight_score": "A"}, _joint_query, _joint_memory, _additive, _TANH),
    Kind("gated", "Xu et al. 2015, arXiv:1502.03044, section 4.2.1",
         _ADDITIVE | {"weight_gate": "H", "bias_gate": ""}, _query, _memory, _additive, _TANH),
    Kind("window", "Graves 2013, arXiv:1308.0850, equations 46 to 51",
         {"weight_query": "3K H", "bias_query": "3K"}, _as_it_is, _as_it_is, _window, frozenset({"components"}), "K"),
    Kind("location", "Chorowski et al. 2015, arXiv:1506.07503, section 2.2",
         _ADDITIVE | {"weight_filters": "C W", "weight_location": "A C", "bias_score": ""}, _query, _memory, _location,
         _TANH | {"filters", "width", "smooth"}, "L"),
    unknown="There is no attention of the kind '{name}'.{hint} The kinds are: {names}.",
    hint=" Did you mean '{near}'?", error=SizeError, kind="kinds of attention",
)  # fmt: skip
"""Every kind of attention, by name."""

# What `dot` learns with heads (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2).
HEADS = {
    **{"weight_query": "A H", "weight_key": "A D", "weight_value": "A D", "weight_out": "D A"},
    **{"bias_query": "A", "bias_key": "A", "bias_value": "A", "bias_out": "D"},
}
