"""The translator: against numpy in float64, on the kernels, and what its search finds."""

from itertools import product

import numpy as np
import pytest
import torch

from gatework.cells import CELLS
from gatework.errors import CellError, SizeError
from gatework.models.translator import Search, Translator

KINDS = ("additive", "dot", "general", "concat", "gated", "window", "location")
SOURCE = torch.tensor([[3, 5, 1, 4], [2, 2, 6, 0], [1, 0, 0, 0], [6, 0, 0, 0]])
LENGTHS = torch.tensor([4, 2, 2, 1])
BEFORE = torch.tensor([[0, 0, 0, 0], [3, 1, 2, 5], [4, 4, 0, 1]])
TARGETS = torch.tensor([[3, 1, 2, 5], [4, 4, 0, 1], [0, 2, -100, 0]])


def made(cell="gru", layers=1, units=6, dtype=torch.float64, **options):
    torch.manual_seed(1)
    return Translator((7, 6), cell, 4, units, layers, **options).to(dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(given, h, weights, context=None):
    """One step of the GRU as torch has it, with a context beside the input."""

    def read(gate):
        total = weights[f"W_{gate}"] @ given + weights[f"b_{gate}"]
        return total if context is None else total + weights[f"C_{gate}"] @ context

    r = sigmoid(read("r") + weights["R_r"] @ h)
    z = sigmoid(read("z") + weights["R_z"] @ h)
    new = np.tanh(read("n") + r * (weights["R_n"] @ h + weights["c_n"]))
    return (1 - z) * new + z * h


def of(layer, direction=0):
    return {name: value.detach().numpy() for name, value in layer.named_weights(0, direction).items()}


def by_hand(model, source, before):
    """Score one sentence: Bahdanau, Cho & Bengio 2015, appendix A."""
    part = {name: value.detach().numpy() for name, value in model.named_parameters()}
    vectors, states = part["source_embedding.weight"][source], {}
    for direction, order in ((0, range(len(source))), (1, range(len(source) - 1, -1, -1))):
        h = np.zeros(6)
        for place in order:
            states[direction, place] = h = gru(vectors[place], h, of(model.encoder, direction))
    memory = np.array([np.concatenate([states[0, place], states[1, place]]) for place in range(len(source))])
    s = np.tanh(part["bridge.weight"] @ states[1, 0] + part["bridge.bias"])
    own, rows = of(model.recurrent), []
    for symbol in before:
        vector = part["embedding.weight"][symbol]
        scores = np.array([own["v_a"] @ np.tanh(own["U_a"] @ m + own["V_a"] @ s + own["b_a"]) for m in memory]).ravel()
        weights = np.exp(scores) / np.exp(scores).sum()
        context = weights @ memory
        s = gru(vector, s, own, context)
        t = np.tanh(part["readout.weight"] @ np.concatenate([s, context, vector]) + part["readout.bias"])
        rows.append(part["embedding.weight"] @ t + part["head.bias"])
    return np.array(rows)


def test_scores_are_those_of_the_paper():
    model = made("gru")
    scores = model(SOURCE, LENGTHS, BEFORE).detach().numpy()
    for row, length in enumerate(LENGTHS):
        expected = by_hand(model, SOURCE[:length, row].tolist(), BEFORE[:, row].tolist())
        np.testing.assert_allclose(scores[:, row], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("place", ["inside", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sentence_does_not_depend_on_those_beside_it(kind, place):
    model = made(layers=2, attention=kind, place=place)
    together = model(SOURCE, LENGTHS, BEFORE)
    for row, length in enumerate(LENGTHS):
        alone = model(SOURCE[:length, row : row + 1], LENGTHS[row : row + 1], BEFORE[:, row : row + 1])
        torch.testing.assert_close(alone[:, 0], together[:, row])


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "rnn"])
def test_kernels_run_encoder_and_decoder(cell):
    """With an explicit backend, a layer that no kernel runs is refused."""
    results = []
    for backend in ("cpu", "reference"):
        model = made(cell, units=8, smoothing=0.1)
        model.encoder.backend = model.recurrent.backend = backend
        loss = model.losses(SOURCE, LENGTHS, BEFORE, TARGETS).sum()
        loss.backward()
        results.append([loss.detach(), *(value.grad for value in model.parameters())])
    torch.testing.assert_close(results[0], results[1])
    assert all(gradient is not None and bool(gradient.any()) for gradient in results[0][1:])


@pytest.mark.parametrize("name", CELLS)
def test_any_cell_translates(name):
    cell, units = CELLS[name], 8
    if name == "depth_gated":
        with pytest.raises(SizeError, match="not defined for two directions"):
            made(name)
        return
    for attention, place in (("additive", "inside"), ("general", "after"), ("none", "inside")):
        model = made(cell, units=units, attention=attention, place=place, proj_size=4 * (name == "lstm_projected"))
        loss = model.losses(SOURCE, LENGTHS, BEFORE, TARGETS)
        loss.sum().backward()
        assert loss.shape == (11,)
        gradients = [value.grad for value in model.parameters()]
        assert all(gradient is not None and bool(torch.isfinite(gradient).all()) for gradient in gradients)
        found = model.eval().translate(SOURCE, LENGTHS, 0, beams=2)
        assert [len(row) for row in found] == [2, 2, 2, 2]


def test_without_attention_the_last_states_are_all_that_is_known():
    """The decoder starts from the states of the direction that reads backwards, which is the source reversed."""
    model = made("lstm", 2, attention="none")
    found = model.read(SOURCE, LENGTHS)
    _, (h, c) = model.encoder(model.source_embedding(SOURCE), lengths=LENGTHS)
    assert torch.equal(found.states[0], h[[1, 3]])
    assert torch.equal(found.states[1], c[[1, 3]])
    scores = model.decode(found, BEFORE)
    assert torch.equal(scores, model.decode(found._replace(memory=torch.randn_like(found.memory)), BEFORE))


@pytest.mark.parametrize("place", ["inside", "after"])
@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_steps_of_a_search_score_as_the_whole_does(kind, place):
    model = made("lstm", 2, attention=kind, place=place).eval()
    with torch.no_grad():
        whole = model(SOURCE, LENGTHS, BEFORE).log_softmax(-1)
        search = Search(model, model.read(SOURCE, LENGTHS))
        state, steps = search.state, []
        for symbols in BEFORE:
            logs, state = search(symbols, state)
            steps.append(logs)
    torch.testing.assert_close(torch.stack(steps), whole)


@pytest.mark.parametrize("kind", ["additive", "location", "none"])
def test_wide_search_finds_the_most_probable_of_all_texts(kind):
    model, end, most = made("gru", attention=kind).eval(), 0, 3
    source, lengths = SOURCE[:, :2], LENGTHS[:2]
    texts = [text for count in range(most) for text in product(range(1, 6), repeat=count)]

    def log_probability(row, text):
        before = torch.tensor([[end, *text]]).T
        with torch.no_grad():
            scores = model(source[:, row : row + 1][: lengths[row]], lengths[row : row + 1], before)
        told = torch.tensor([*text, end])[:, None, None]
        return float(scores.log_softmax(-1).gather(-1, told).sum())

    found = model.translate(source, lengths, end, beams=200)
    for row in range(2):
        best = max(texts, key=lambda text: log_probability(row, text))
        short = next(one for one in found[row] if one.ended and len(one.symbols) < most)
        assert short.symbols == best
        assert short.log_probability == pytest.approx(log_probability(row, best), abs=1e-9)


def test_greedy_takes_the_most_probable_symbol():
    model, end = made("gru").eval(), 0
    found = model.translate(SOURCE, LENGTHS, end)
    for row, length in enumerate(LENGTHS):
        text = [end]
        while len(text) <= 2 * int(LENGTHS.max()) + 10:
            with torch.no_grad():
                scores = model(SOURCE[:length, row : row + 1], LENGTHS[row : row + 1], torch.tensor([text]).T)
            text.append(int(scores[-1, 0].argmax()))
            if text[-1] == end:
                break
        assert list(found[row][0].symbols) == [symbol for symbol in text[1:] if symbol != end]


def test_matrices_are_shared_as_told():
    tied, own = made(), made(tie=False)
    assert tied.head.weight is tied.embedding.weight
    assert own.head.weight is not own.embedding.weight
    torch.manual_seed(0)
    both = Translator((6, 6), "gru", 4, 6, shared=True)
    assert both.source_embedding is both.embedding
    with pytest.raises(SizeError, match="have 7 and 6 symbols; a shared one has one size"):
        made(shared=True)


def test_smoothing_and_dropout_apply_in_training_only():
    plain, smooth = made(), made(smoothing=0.3, dropout=0.5)
    given = (SOURCE, LENGTHS, BEFORE, TARGETS)
    assert torch.equal(plain.eval().losses(*given), smooth.eval().losses(*given))
    assert not torch.equal(plain.train().losses(*given), smooth.train().losses(*given))


def test_what_does_not_fit_is_refused():
    with pytest.raises(CellError, match="no matrix reads its input"):
        made("h = 0.5 * h + 0.5 * x", units=4)
    with pytest.raises(SizeError, match="attention_size is 3, and attention of the kind 'general' has no size"):
        made(attention="general", attention_size=3)
    with pytest.raises(SizeError, match="attention_size is"):
        made(attention="dot", place="after", attention_size=3)
    assert made(attention="window").recurrent.sizes["kappa"] == 10
    assert made(attention="additive", attention_size=3).recurrent.sizes["b_a"] == 3
