"""Attention as a module of its own: queries over a memory of vectors, in the kinds of the papers."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatework.errors import SizeError
from gatework.nn.checks import check_count, check_flag, check_rate
from gatework.nn.scores import HEADS, KINDS, Keys, Learned, softmax, wide
from gatework.nn.sequences import check_lengths

Memory = Tensor | Keys
Lengths = Tensor | Sequence[int] | None


class Attention(nn.Module):
    """Weigh the vectors of a memory by how well they answer a query, and sum them.

    Args:
        kind: ``additive`` (Bahdanau et al. 2015), ``dot``, ``general`` or ``concat`` (Luong et al. 2015), ``gated``
            (Xu et al. 2015), ``window`` (Graves 2013) or ``location`` (Chorowski et al. 2015).
        query_size: H, the size of a query.
        memory_size: D, the size of the vectors of the memory and of the context; H if left out.
        attention_size: A, the number of units that compare query and memory; H if left out. With ``heads`` it is shared
            among them.
        heads: For ``dot``: the number of heads, each of which compares learned maps of query and memory, and sums
            learned maps of the memory (Vaswani et al. 2017). None compares the vectors themselves.
        components: For ``window``: K, the number of Gaussians; 10 if left out.
        filters: For ``location``: C, the number of filters over the last weights; 10 if left out.
        width: For ``location``: W, the number of positions under a filter, odd; 201 if left out.
        scale: What scores are multiplied by before they are normalised; 1 if left out, with heads 1 / sqrt(A / heads).
            More than 1 sharpens the weights. Not for ``window``, which has no scores.
        smooth: For ``location``: normalise sigmoids rather than exponentials of the scores.
        dropout: Probability of zeroing a weight before the sum, in training. The returned weights are those before it.
        bias: Whether the module has biases.
        device: The device of the parameters.
        dtype: The type of the parameters.

    Raises:
        SizeError: For an unknown kind, an option that the kind does not have, or sizes that do not fit.

    Source:
        The kinds' papers are in the guide, with their equations. Scale and smooth: Chorowski et al. 2015,
        arXiv:1506.07503, section 2.3. Heads: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.

    Example:
        >>> attention = Attention("additive", query_size=8, memory_size=6)
        >>> context, weights = attention(torch.zeros(2, 8), torch.zeros(2, 5, 6), lengths=[5, 4])
        >>> context.shape, weights[1]
        (torch.Size([2, 6]), tensor([0.2500, 0.2500, 0.2500, 0.2500, 0.0000], grad_fn=<SelectBackward0>))
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Tell type checkers that parameters are attributes; their names depend on the kind."""

    def __init__(
        self,
        kind: str,
        query_size: int,
        memory_size: int | None = None,
        attention_size: int | None = None,
        *,
        heads: int | None = None,
        components: int | None = None,
        filters: int | None = None,
        width: int | None = None,
        scale: float | None = None,
        smooth: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.kind, self._kind = kind, KINDS[kind]
        counts = {"attention_size": attention_size, "heads": heads}
        counts |= {"components": components, "filters": filters, "width": width}
        self._options = {**counts, "scale": scale, "smooth": smooth or None}
        self._refuse_options()
        for name, count in {"query_size": query_size, "memory_size": memory_size, **counts}.items():
            if count is not None:
                check_count(name, count)
        check_rate("dropout", dropout)
        check_flag("bias", bias)
        check_flag("smooth", smooth)
        self.query_size, self.heads, self.smooth = query_size, heads, smooth
        self.memory_size = query_size if memory_size is None else memory_size
        self.attention_size = query_size if attention_size is None else attention_size
        self._sizes = {"H": query_size, "D": self.memory_size, "A": self.attention_size}
        self._sizes |= {"K": components or 10, "C": filters or 10, "W": width or 201}
        self._refuse_sizes()
        self.scale = (math.sqrt(heads / self.attention_size) if heads else 1.0) if scale is None else float(scale)
        self.dropout, self.bias = float(dropout), bias
        self._names = self._register(device, dtype)
        self.reset_parameters()

    def _refuse_options(self) -> None:
        """Refuse options that the kind does not have."""
        for name, value in self._options.items():
            if value is not None and name not in self._kind.options:
                known = ", ".join(sorted(self._kind.options))
                raise SizeError(
                    f"{name} is {value!r}; attention of the kind '{self.kind}' has no such option. Leave it out; the "
                    f"kind takes {known}."
                )
        scale = self._options["scale"]
        if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0):
            raise SizeError(f"scale is {scale!r}; expected a number above 0.")

    def _refuse_sizes(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.kind == "dot" and not self.heads:
            if self._options["attention_size"] is not None:
                raise SizeError(
                    f"attention_size is {self.attention_size}; 'dot' compares the vectors themselves. Leave it out, or "
                    "give heads, which compare learned maps of them."
                )
            if self.query_size != self.memory_size:
                raise SizeError(
                    f"query_size is {self.query_size} and memory_size {self.memory_size}; 'dot' needs them to be the "
                    "same. Use 'general', which maps the memory to the size of the query."
                )
        if self.heads and self.attention_size % self.heads:
            raise SizeError(
                f"attention_size is {self.attention_size}, which cannot be shared among {self.heads} heads. Give a "
                "multiple of heads."
            )
        if self._sizes["W"] % 2 == 0:
            raise SizeError(f"width is {self._sizes['W']}; expected an odd number, so that a filter has a middle.")

    def _register(self, device: torch.device | str | int | None, dtype: torch.dtype | None) -> tuple[str, ...]:
        """Make the parameters; return their names."""
        sizes = {**self._sizes, "H+D": self.query_size + self.memory_size, "3K": 3 * self._sizes["K"]}
        shapes = HEADS if self.heads else self._kind.shapes
        # What is added to all scores of a row alike changes nothing, unless they go through a sigmoid.
        unused = set() if self.smooth else {"bias_score"}
        unused |= set() if self.bias else {name for name in shapes if name.startswith("bias")}
        names = tuple(name for name in shapes if name not in unused)
        for name in names:
            shape = [sizes[size] for size in shapes[name].split()]
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        return names

    @property
    def stateful(self) -> bool:
        """Whether one step leaves a state to the next."""
        return bool(self._kind.state)

    def reset_parameters(self) -> None:
        """Initialise all parameters: uniform within 1 / sqrt(the number of inputs), as torch.nn.Linear's; biases 0."""
        for name in self._names:
            parameter = getattr(self, name)
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -(bound := parameter.shape[-1] ** -0.5), bound)

    # --- the memory

    def keys(self, memory: Tensor, lengths: Lengths = None) -> Keys:
        """Map a memory once, for a loop that asks it at every step.

        Args:
            memory: [B, L, D]. What stands on padding has no influence, be it NaN, and gets no gradient.
            lengths: The number of vectors of each row, from 0 to L; the rest is padding. None for no padding.

        Returns:
            What takes the memory's place in :meth:`forward` and :meth:`read`.

        Raises:
            SizeError: If shapes or types do not fit.

        Example:
            >>> attention = Attention("general", 8, 6)
            >>> keys = attention.keys(torch.randn(2, 5, 6), lengths=[5, 3])
            >>> queries = torch.randn(4, 2, 8)
            >>> contexts = torch.stack([attention(query, keys)[0] for query in queries])
            >>> torch.allclose(contexts, attention(queries, keys)[0], atol=1e-6)
            True
        """
        if not isinstance(memory, Tensor):
            raise SizeError(
                f"memory is a {type(memory).__name__}; expected a tensor [B, L, {self.memory_size}], or what `keys` "
                "gives. A packed sequence becomes a tensor and lengths by "
                "torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)."
            )
        if memory.dim() != 3 or memory.shape[-1] != self.memory_size:
            raise SizeError(
                f"memory has the shape {tuple(memory.shape)}; expected [B, L, {self.memory_size}], the batch first."
            )
        self._check_type("memory", memory)
        rows, positions = memory.shape[:2]
        present = None
        if lengths is not None or not positions:
            given = [0] * rows if lengths is None else lengths
            known = check_lengths(given, positions, rows, "positions in the memory").to(memory.device)
            present = torch.arange(positions, device=memory.device) < known.unsqueeze(1)
            # Unlike a product with zeros, filling also removes NaN and infinite values, and stops gradients.
            memory = memory.masked_fill(~present.unsqueeze(-1), 0)
        learned = self._learned()
        if self.heads:
            keys, values = (
                self._split(functional.linear(memory, learned[f"weight_{one}"], learned.get(f"bias_{one}")))
                for one in ("key", "value")
            )
            return Keys(keys, values, present, memory.dtype)
        return Keys(wide(self._kind.key(learned, memory)), wide(memory), present, memory.dtype)

    def _held(self, memory: Memory, lengths: Lengths) -> Keys:
        """Map a memory unless it is mapped already."""
        if not isinstance(memory, Keys):
            return self.keys(memory, lengths)
        if lengths is not None:
            raise SizeError("lengths were given beside keys, which know their own. Leave lengths out.")
        shape = (self.heads, self.attention_size // self.heads) if self.heads else (self.memory_size,)
        seen = (*memory.values.shape[1:-2], memory.values.shape[-1])
        if seen != shape:
            raise SizeError(
                f"These keys hold values of the shape {seen}; expected {shape}. Make them with this module's `keys`."
            )
        return memory

    # --- running

    def forward(
        self,
        query: Tensor,
        memory: Memory,
        lengths: Lengths = None,
        *,
        state: Tensor | None = None,
        need_weights: bool = False,
    ) -> Any:
        """Ask a memory.

        Args:
            query: [B, H], or [T, B, H] for T steps at once. ``location`` runs them in a loop, because its weights
                depend on those of the step before; the other kinds need none.
            memory: [B, L, D], or what :meth:`keys` gave.
            lengths: As for :meth:`keys`.
            state: For ``window``: the places of the Gaussians, [B, K], 0 if left out. For ``location``: the last
                weights, [B, L]; if left out, all is on the first position. The other kinds have none.
            need_weights: With ``heads``: whether to return the weights. Then plain operators run in the place of
                torch's fused one, which has none to give and no second derivative. Other kinds always return them.

        Returns:
            The context and the weights; for ``window`` and ``location`` also the state for the next step. The context
            is [B, D], or [T, B, D], in the memory's type. The weights are [B, L], or [T, B, L]; [B, heads, L] or
            [T, B, heads, L] with heads, or None. They are 0 on padding and their sum is 1, but for ``window``, which
            does not normalise them. A row without positions has a context and weights of 0. Weights and states are
            float32 where query and memory are bfloat16 or half.

        Raises:
            SizeError: If shapes or types do not fit.
        """
        keys = self._held(memory, lengths)
        asked = self._arranged(query, keys)
        learned = self._learned()
        self._check_state(state, keys)
        # The maps follow autocast, the sums do not.
        if self.heads:
            mapped = self._split(functional.linear(asked, learned["weight_query"], learned.get("bias_query")))
        else:
            mapped = wide(self._kind.ask(learned, asked))
        last = None
        with _no_autocast(query):
            if self.heads and not need_weights:
                weights, summed = None, self._fused(mapped, keys)
            elif self.heads:
                weights = self._normalised(wide(mapped) @ wide(keys.keys).mT, keys.present)
                summed = self._dropped(weights) @ wide(keys.values)
            else:
                held = {name: wide(tensor) for name, tensor in learned.items()}
                given = None if state is None else state.to(mapped.dtype)
                normalise = partial(self._normalised, present=keys.present)
                weights, last = self._kind.weigh(held, mapped, keys, given, normalise)
                summed = self._dropped(weights) @ keys.values
        context = self._finished(summed, asked, keys)
        if query.dim() == 2:
            context, weights = context.squeeze(1), None if weights is None else weights.squeeze(-2)
        else:
            context = context.transpose(0, 1).contiguous()
            weights = None if weights is None else weights.movedim(-2, 0).contiguous()
        return (context, weights, last) if self.stateful else (context, weights)

    def read(self, weights: Tensor, memory: Memory, lengths: Lengths = None, *, query: Tensor | None = None) -> Tensor:
        """Give the context of weights of your own, such as the one-hot of a hard attention.

        Args:
            weights: In the shape in which :meth:`forward` returns them. They may have any sum.
            memory: As in :meth:`forward`.
            lengths: As in :meth:`forward`.
            query: For ``gated``, whose gate reads it: as in :meth:`forward`.

        Returns:
            The context, as in :meth:`forward`. Where a row is a one-hot, it is that position's vector bit by bit.

        Raises:
            SizeError: If shapes or types do not fit.

        Example:
            >>> attention, memory = Attention("dot", 3), torch.randn(1, 4, 3)
            >>> torch.equal(attention.read(torch.tensor([[0.0, 0.0, 1.0, 0.0]]), memory), memory[:, 2])
            True
        """
        keys = self._held(memory, lengths)
        lead = (self.heads,) if self.heads else ()
        shape = (keys.values.shape[0], *lead, keys.values.shape[-2])
        if not isinstance(weights, Tensor) or weights.shape[-len(shape) :] != shape or weights.dim() > len(shape) + 1:
            seen = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
            raise SizeError(f"weights are {seen}; expected the shape {shape}, or (T, *{shape}).")
        asked = None
        if "weight_gate" in self._names:
            if query is None:
                raise SizeError("query is missing; the gate of a 'gated' attention reads it. Give query=.")
            if query.shape[:-1] != weights.shape[:-1]:
                raise SizeError(
                    f"query has the shape {tuple(query.shape)} and weights {tuple(weights.shape)}; expected as many "
                    "steps and rows in both."
                )
            asked = self._arranged(query, keys)
        arranged = weights.unsqueeze(-2) if weights.dim() == len(shape) else weights.movedim(0, -2)
        with _no_autocast(weights):
            values = wide(keys.values)
            summed = arranged.to(values.dtype) @ values
        context = self._finished(summed, asked, keys)
        return context.squeeze(1) if weights.dim() == len(shape) else context.transpose(0, 1).contiguous()

    def _fused(self, mapped: Tensor, keys: Keys) -> Tensor:
        """Let torch's fused operator weigh and sum, [B, heads, T, size]."""
        mask = None
        if keys.present is not None:  # a row without positions gets some, and its context is filled later
            mask = (keys.present | ~keys.present.any(-1, keepdim=True))[:, None, None]
        rate = self.dropout if self.training else 0.0
        return functional.scaled_dot_product_attention(
            mapped, keys.keys.to(mapped.dtype), keys.values.to(mapped.dtype), mask, rate, scale=self.scale
        )

    def _finished(self, summed: Tensor, asked: Tensor | None, keys: Keys) -> Tensor:
        """Make the context of a sum: gate it, or join the heads; [B, T, D]."""
        learned = self._learned()
        if self.heads:
            joined = summed.transpose(1, 2).flatten(2).to(learned["weight_out"].dtype)
            summed = functional.linear(joined, learned["weight_out"], learned.get("bias_out"))
            if keys.present is not None:
                summed = summed.masked_fill(~keys.present.any(-1)[:, None, None], 0)
        elif asked is not None and "weight_gate" in learned:
            gate = functional.linear(asked, learned["weight_gate"], learned.get("bias_gate"))
            summed = summed * wide(gate).sigmoid().unsqueeze(-1)
        return summed.to(keys.dtype)

    def _normalised(self, scores: Tensor, present: Tensor | None) -> Tensor:
        """Make weights of scores, [B, ..., L]."""
        scores = scores * self.scale
        # The softmax of logarithms of sigmoids is the sigmoids over their sum, without 0/0 where all are tiny.
        return softmax(functional.logsigmoid(scores) if self.smooth else scores, present)

    def _dropped(self, weights: Tensor) -> Tensor:
        return functional.dropout(weights, self.dropout, self.training)

    def _split(self, mapped: Tensor) -> Tensor:
        """Share features among heads: [B, L, A] becomes [B, heads, L, A / heads]."""
        return mapped.unflatten(-1, (self.heads or 1, -1)).transpose(1, 2)

    def _learned(self) -> Learned:
        return {name: getattr(self, name) for name in self._names}

    # --- checks

    def _check_type(self, name: str, given: Tensor) -> None:
        if not given.is_floating_point():
            raise SizeError(f"{name} has the type {given.dtype}; expected a floating type. Convert it: {name}.float().")
        weight = getattr(self, self._names[0]) if self._names else None
        if weight is not None and given.dtype != weight.dtype and not _autocasts(given):
            raise SizeError(
                f"{name} has the type {given.dtype} and the module {weight.dtype}. Convert one: "
                f"{name}.to({weight.dtype}), or attention.to({given.dtype})."
            )

    def _arranged(self, query: Tensor, keys: Keys) -> Tensor:
        """Check queries and bring them into the form [B, T, H]."""
        rows, size = keys.values.shape[0], self.query_size
        if not isinstance(query, Tensor):
            raise SizeError(f"query is a {type(query).__name__}; expected a tensor [B, {size}] or [T, B, {size}].")
        if query.dim() not in (2, 3) or query.shape[-1] != size:
            raise SizeError(
                f"query has the shape {tuple(query.shape)}; expected [B, {size}], or [T, B, {size}] for many steps."
            )
        if query.shape[-2] != rows:
            raise SizeError(
                f"query has {query.shape[-2]} rows and memory {rows}; expected as many. A query is [B, {size}] or "
                f"[T, B, {size}], and a memory [B, L, {self.memory_size}]."
            )
        self._check_type("query", query)
        if not self._names and query.dtype != keys.dtype and not _autocasts(query):
            raise SizeError(
                f"query has the type {query.dtype} and memory {keys.dtype}. Convert one: query.to({keys.dtype})."
            )
        return query.unsqueeze(1) if query.dim() == 2 else query.transpose(0, 1)

    def _check_state(self, state: Tensor | None, keys: Keys) -> None:
        if state is None:
            return
        if not self.stateful:
            known = ", ".join(f"'{name}'" for name, kind in KINDS.items() if kind.state)
            raise SizeError(f"state is given; attention of the kind '{self.kind}' has none. These have: {known}.")
        size = self._sizes["K"] if self._kind.state == "K" else keys.values.shape[1]
        expected = (keys.values.shape[0], size)
        if not isinstance(state, Tensor) or state.shape != expected:
            seen = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise SizeError(f"state is {seen}; expected the shape [B, {self._kind.state}] = {expected}.")

    def extra_repr(self) -> str:
        """Print the sizes, and the options that differ from their defaults."""
        shown = [self.kind, str(self.query_size), str(self.memory_size)]
        shown += [f"{name}={value!r}" for name, value in self._options.items() if value is not None]
        shown += [f"dropout={self.dropout}"] if self.dropout else []
        return ", ".join(shown if self.bias else [*shown, "bias=False"])


def _autocasts(tensor: Tensor) -> bool:
    kind = tensor.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _no_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Leave autocast, if it is on."""
    return torch.autocast(tensor.device.type, enabled=False) if _autocasts(tensor) else nullcontext()
