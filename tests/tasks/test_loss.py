"""The loss in one piece of memory is the loss, and so are its gradients."""

import pytest
import torch
from torch import nn

from gatework.data.vocabulary import Vocabulary
from gatework.models import language as text_module
from gatework.models.language import LanguageModel, measure
from gatework.models.loss import LeanSurprise, surprise


def given(rows=7, streams=3, hidden=5, symbols=11, dtype=torch.float64):
    torch.manual_seed(rows)
    output = torch.randn(rows, streams, hidden, dtype=dtype, requires_grad=True)
    return output, nn.Linear(hidden, symbols, dtype=dtype), torch.randint(symbols, (rows, streams))


def gradients_of(nats, *tensors):
    return torch.autograd.grad(nats / 3, tensors)


@pytest.mark.parametrize("ignored", [0, 4, 21])
def test_loss_and_gradients_are_those_of_the_plain_way(ignored):
    output, head, targets = given()
    targets.view(-1)[torch.randperm(21)[:ignored]] = -100
    learned = (output, head.weight, head.bias)
    plain = surprise(head(output), targets)
    lean = LeanSurprise()(output, head, targets)
    torch.testing.assert_close(lean, plain, rtol=1e-13, atol=0)
    pairs = zip(gradients_of(lean, *learned), gradients_of(plain, *learned), strict=True)
    for own, other in pairs:
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-14)
    with torch.no_grad():
        torch.testing.assert_close(LeanSurprise()(output, head, targets), plain, rtol=1e-13, atol=0)


def test_memory_is_kept_and_what_is_in_it_does_not_matter():
    lean = LeanSurprise()
    for rows in (7, 6, 9, 2):  # the memory fits, is larger than needed, is too small, and is larger again
        output, head, targets = given(rows)
        before = lean._buffer  # held: memory given back could be handed out again at the same address
        lean._buffer.fill_(float("nan"))
        torch.testing.assert_close(lean(output, head, targets), surprise(head(output), targets))
        assert (lean._buffer is before) == (rows in (6, 2))
    # The gradient of a first loss is not touched by a second one in the same memory.
    output, head, targets = given(2)
    first = lean(output, head, targets)
    lean(*given(9))
    first.backward()
    other = gradients_of(surprise(head(output), targets) * 3, head.weight)[0]
    torch.testing.assert_close(head.weight.grad, other)


def test_scores_beyond_the_range_of_the_exponential():
    output, head, targets = given(dtype=torch.float32)
    with torch.no_grad():
        head.weight.mul_(1e4)
    torch.testing.assert_close(LeanSurprise()(output, head, targets), surprise(head(output), targets))


def test_a_loss_that_is_no_number_is_none():
    output, head, targets = given()
    with torch.no_grad():
        head.bias[3] = float("nan")
    assert LeanSurprise()(output, head, targets).isnan()


def test_a_second_gradient_is_refused():
    output, head, targets = given()
    nats = LeanSurprise()(output, head, targets)
    nats.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="a second time: take surprise"):
        nats.backward()


@pytest.mark.parametrize("options", [{}, {"tie_weights": True, "dropout": 0.3, "num_layers": 2}])
def test_a_model_trains_alike_both_ways(options, monkeypatch):
    read, targets = torch.randint(9, (6, 4)), torch.randint(9, (6, 4))
    found = []
    for large in (9, 10):
        monkeypatch.setattr(text_module, "_LARGE_VOCABULARY", large)
        torch.manual_seed(1)
        model = LanguageModel(9, "lstm", 8, 8, **options).double()
        nats, state = model.surprise(read, targets)
        assert isinstance(state, tuple)
        assert (type(nats.grad_fn).__name__ == "_HeadAndLossBackward") == (large == 9)
        nats.backward()
        found.append([nats, *state, *(parameter.grad for parameter in model.parameters())])
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("streams", [1, 3])
def test_measuring_is_the_same_both_ways(streams, monkeypatch):
    """With several streams there are windows of context, where nothing is counted."""
    vocabulary = Vocabulary.of("abcdefgh\n", "char")
    torch.manual_seed(2)
    model = LanguageModel(len(vocabulary), "gru", 6, 8).double()
    tokens = torch.randint(1, len(vocabulary), (900,)).int()
    found = []
    for large in (1, 1000):
        monkeypatch.setattr(text_module, "_LARGE_VOCABULARY", large)
        found.append(measure(model, tokens, vocabulary, streams=streams))
    assert found[0].tokens == found[1].tokens == 900
    assert found[0].nats == pytest.approx(found[1].nats, rel=1e-12)
