"""Batches, model and metric of a language model."""

import math

import pytest
import torch

from gatework.data.streams import Streams
from gatework.data.vocabulary import Vocabulary
from gatework.errors import DataError, SizeError
from gatework.models.language import LanguageModel, Metric, count_text, measure, stretches
from gatework.models.sampling import choose, write_on

VOCABULARY = Vocabulary.of("abcdefgh\n", "char")


def model_of(cell="lstm", **options):
    torch.manual_seed(3)
    return LanguageModel(len(VOCABULARY), cell, 6, 8, **options).double()


def text_of(length, seed=0):
    return torch.randint(1, len(VOCABULARY), (length,), generator=torch.Generator().manual_seed(seed)).int()


@pytest.mark.parametrize(
    ("length", "batch", "window"), [(1000, 4, 16), (1003, 7, 33), (64, 4, 16), (20, 10, 5), (9, 4, 100)]
)
def test_an_epoch_trains_on_every_symbol_of_every_stream_once(length, batch, window):
    tokens = torch.arange(length).int()
    streams = Streams(tokens, -1, batch, window)
    windows = [streams.window(index, slice(0, batch)) for index in range(streams.windows_per_epoch)]
    targets = torch.cat([target for _, target in windows])
    inputs = torch.cat([read for read, _ in windows])
    assert sorted(targets.flatten().tolist()) == list(range(length // batch * batch))
    assert torch.equal(inputs, targets - 1)  # what is read is always what stands just before
    sizes = [len(target) for _, target in windows]
    assert max(sizes) <= window
    assert max(sizes) - min(sizes) <= 1
    some, _ = streams.window(0, slice(1, 3))
    assert torch.equal(some, windows[0][0][:, 1:3])


def test_a_text_too_short_for_its_streams():
    with pytest.raises(DataError, match=r"has 7 symbols, too few for 4 streams of at least 2\. .*--batch-size"):
        Streams(torch.arange(7), 0, 4, 8)


def by_hand(model, tokens, pieces):
    """The surprise of pieces of a text, each symbol by itself: pieces are (first read, first counted, end)."""
    nats, count = 0.0, 0
    before = torch.cat([tokens.new_tensor([VOCABULARY.start]), tokens])
    for first, counted, end in pieces:
        state = None
        for place in range(first, end):
            scores, state = model(before[place].long().view(1, 1), state)
            if place >= counted:
                nats -= torch.log_softmax(scores[0, 0], 0)[tokens[place].long()].item()
                count += 1
    return nats, count


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("length", [1, 2, 127, 300])
def test_one_stream_is_the_whole_text_in_one_go(cell, length):
    model, tokens = model_of(cell), text_of(length)
    metric = measure(model, tokens, VOCABULARY, streams=1)
    nats, count = by_hand(model, tokens, [(0, 0, length)])
    assert metric.tokens == count == length
    assert metric.nats == pytest.approx(nats, rel=1e-12)


@pytest.mark.parametrize(
    ("length", "streams", "context"), [(300, 3, 20), (301, 4, 0), (310, 7, 1000), (5, 9, 3), (131, 2, 64)]
)
def test_many_streams_count_every_symbol_once_after_their_context(length, streams, context):
    model, tokens = model_of(), text_of(length)
    metric = measure(model, tokens, VOCABULARY, streams=streams, context=context)
    count = min(streams, length)
    before = min(context, length // count)
    parts = stretches(length, count)
    pieces = [(max(0, part.begin - before) if part.begin else 0, part.begin, part.end) for part in parts]
    nats, counted = by_hand(model, tokens, pieces)
    assert metric.tokens == counted == length
    assert metric.nats == pytest.approx(nats, rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_shares_add_up(size):
    model, tokens = model_of("gru"), text_of(3000)
    whole = measure(model, tokens, VOCABULARY, streams=3)
    shares = [measure(model, tokens, VOCABULARY, streams=3, share=(rank, size)) for rank in range(size)]
    assert sum(share.tokens for share in shares) == whole.tokens == 3000
    assert sum(share.nats for share in shares) == pytest.approx(whole.nats, rel=1e-12)


@pytest.mark.parametrize(("length", "streams", "most"), [(300, 3, 100), (301, 4, 7), (40, 9, 5), (300, 1, 20)])
def test_of_a_long_text_the_beginnings_of_its_parts_are_measured(length, streams, most):
    model, tokens = model_of(), text_of(length)
    metric = measure(model, tokens, VOCABULARY, streams=streams, most=most, context=20)
    count = min(streams, most)
    parts = stretches(length, count)
    sizes = [part.end - part.begin for part in stretches(most, count)]
    before = min(20, length // count)
    pieces = [
        (max(0, part.begin - before), part.begin, part.begin + size) for part, size in zip(parts, sizes, strict=True)
    ]
    nats, counted = by_hand(model, tokens, pieces)
    assert metric.tokens == counted == most
    assert metric.nats == pytest.approx(nats, rel=1e-12)
    assert measure(model, tokens, VOCABULARY, streams=streams, most=length) == measure(
        model, tokens, VOCABULARY, streams=streams
    )


def test_bits_of_pieces_are_those_of_their_bytes_and_characters():
    vocabulary = Vocabulary("bpe", (), merges=((97, 98), (0xC3, 0xA9)))
    tokens = torch.tensor([256, 97, 257, 0xC3, 0xA9], dtype=torch.int16)
    assert count_text(tokens, vocabulary) == (7, 5)
    torch.manual_seed(3)
    model = LanguageModel(len(vocabulary), "lstm", 6, 8).double()
    metric = measure(model, tokens, vocabulary, streams=1)
    named = metric.named()
    assert (metric.tokens, metric.bytes, metric.characters) == (5, 7, 5)
    assert named["bits_per_byte"] == pytest.approx(named["loss"] * 5 / 7 / math.log(2))
    assert named["bits_per_character"] == pytest.approx(named["loss"] / math.log(2))
    parts = [measure(model, tokens, vocabulary, streams=2, share=(rank, 3)).sums() for rank in range(3)]
    together = Metric.of([sum(sums) for sums in zip(*parts, strict=True)], "bpe")
    assert together.named() == pytest.approx(measure(model, tokens, vocabulary, streams=2).named())


def test_a_model_that_knows_nothing_needs_the_logarithm_of_the_vocabulary():
    model = model_of()
    torch.nn.init.zeros_(model.head.weight)
    metric = measure(model, text_of(500), VOCABULARY)
    assert metric.loss == pytest.approx(math.log(len(VOCABULARY)))
    assert metric.perplexity == pytest.approx(len(VOCABULARY))
    assert metric.named()["bits_per_character"] == pytest.approx(math.log2(len(VOCABULARY)))


def test_measuring_leaves_the_model_as_it_was():
    model = model_of(dropout=0.5).train()
    first = measure(model, text_of(200), VOCABULARY)
    assert model.training
    assert measure(model, text_of(200), VOCABULARY) == first


def test_dropout_falls_on_what_goes_upwards():
    model = model_of(num_layers=2, dropout=0.5).train()
    tokens = text_of(10)[:, None].long()
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])
    assert model.recurrent.dropout == 0.5
    assert model_of(dropout=0.5).recurrent.dropout == 0


def test_tied_weights_are_one_matrix():
    model = LanguageModel(9, "lstm", 8, 8, tie_weights=True)
    assert model.head.weight is model.embedding.weight
    assert "head.weight" not in dict(model.named_parameters())
    model = LanguageModel(9, "lstm", 5, 8, proj_size=5, tie_weights=True)
    assert model(torch.zeros(3, 2).long())[0].shape == (3, 2, 9)
    with pytest.raises(SizeError, match="output size 8, and input_size is 5"):
        LanguageModel(9, "lstm", 5, 8, tie_weights=True)


SCORES = torch.tensor([0.0, 3.0, 1.0, 2.0])


def draws(count=2000, **options):
    generator = torch.Generator().manual_seed(1)
    chosen = [choose(SCORES, generator, **options) for _ in range(count)]
    return torch.bincount(torch.tensor(chosen), minlength=4) / count


def test_choosing_follows_the_probabilities():
    torch.testing.assert_close(draws(), torch.softmax(SCORES, 0), atol=0.03, rtol=0)
    torch.testing.assert_close(draws(temperature=2.0), torch.softmax(SCORES / 2, 0), atol=0.03, rtol=0)


def test_choosing_among_fewer():
    assert draws(top_k=2).nonzero().flatten().tolist() == [1, 3]
    assert draws(top_k=1).tolist() == [0, 1, 0, 0]
    assert draws(top_p=0.5).tolist() == [0, 1, 0, 0]  # the likeliest alone has 0.64
    assert draws(top_p=0.7).nonzero().flatten().tolist() == [1, 3]
    assert draws(never=1)[1] == 0
    assert draws(temperature=0).tolist() == [0, 1, 0, 0]
    assert draws(temperature=0, never=1).tolist() == [0, 0, 0, 1]
    assert draws(temperature=1e-300).tolist() == [0, 1, 0, 0]


def test_writing_on_is_the_model_step_by_step():
    model = model_of()
    prompt = VOCABULARY.encode("abc")
    numbers = [*write_on(model, VOCABULARY, prompt, 5, temperature=0)]
    text = torch.cat([torch.tensor([VOCABULARY.start]), prompt, torch.tensor(numbers)]).long()
    scores = model(text[:, None])[0][:, 0]
    scores[:, 0] = -math.inf
    assert scores[3:-1].argmax(1).tolist() == numbers
    once, again, other = ([*write_on(model, VOCABULARY, prompt, 40, seed=seed)] for seed in (1, 1, 2))
    assert once == again != other
    assert 0 not in [*write_on(model, VOCABULARY, prompt, 200, temperature=5.0)]


def test_writing_begins_at_once_and_leaves_the_model_as_it_was():
    model = model_of(dropout=0.5).train()
    numbers = write_on(model, VOCABULARY, VOCABULARY.encode("abc"), 10**15, seed=1)
    first = [next(numbers) for _ in range(3)]
    assert model.training
    assert first == [*write_on(model.eval(), VOCABULARY, VOCABULARY.encode("abc"), 3, seed=1)]
