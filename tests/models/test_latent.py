"""Models with latent variables: their bound term by term, and beside a Kalman filter where that is exact."""

import math

import pytest
import torch
from tests.tolerances import assert_close, assert_same
from torch.distributions import Bernoulli, Normal
from torch.distributions import kl_divergence as torch_divergence

import gatework
from gatework.cells import LATENT, cell
from gatework.cells.latent import decoded
from gatework.errors import CellError, SizeError
from gatework.heads import Bits, Choice, Gauss
from gatework.models.bounds import sampled_bound
from gatework.models.latent import LatentModel, is_continued
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Batch

TASK = TASKS["jsb_chorales"]
every = pytest.mark.parametrize("name", LATENT)


def model_of(name, head=None, size=5, **options):
    torch.manual_seed(0)
    return LatentModel(size, head or Bits(size), name, 8, latent_size=3, **options).double()


def batch_of(lengths=(7, 4, 1), size=5, seed=1, bits=True):
    generator, longest = torch.Generator().manual_seed(seed), max(lengths)
    steps = torch.randn(longest + 1, len(lengths), size, generator=generator, dtype=torch.float64)
    steps = (steps > 0).double() if bits else steps
    inputs, targets, lengths = steps[:-1].clone(), steps[1:].clone(), torch.tensor(lengths)
    beyond = torch.arange(longest)[:, None] >= lengths
    targets[beyond] = math.nan
    return Batch(inputs, targets, lengths)


def by_steps(model, batch, noise):
    """The bound and the logarithm of the weight of each row, one step after the other."""
    layer, head = model.recurrent, model.answers
    found = []
    for row, length in enumerate(batch.lengths.tolist()):
        steps = torch.cat([batch.inputs[:1, row], batch.targets[:length, row]])
        state, told, divergence, weight, before = None, 0.0, 0.0, 0.0, torch.zeros_like(steps[0])
        for time, step in enumerate(steps):
            given = {"x": step, "before": before, "eps": noise[time, row]}
            names = ("mu", "sd", "mu0", "sd0", "z", decoded(layer.cell))
            inputs = tuple(given[name][None, None] for name in layer.cell.inputs)
            _, state, (record,) = layer.record(inputs, state, names=names)
            posterior = Normal(record["mu"][0, 0], record["sd"][0, 0])
            prior, latent = Normal(record["mu0"][0, 0], record["sd0"][0, 0]), record["z"][0, 0]
            scores = model.head(record[decoded(layer.cell)][0, 0])
            if time:  # the first step is given
                density = Bernoulli(logits=scores) if head.name == "bits" else Normal(*head.split(scores))
                likely = density.log_prob(step).sum()
                told, divergence = told + likely, divergence + torch_divergence(posterior, prior).sum()
                weight = weight + likely + (prior.log_prob(latent) - posterior.log_prob(latent)).sum()
            before = step
        found.append((told - divergence, weight))
    return tuple(torch.stack(each) for each in zip(*found, strict=True))


def explained(model, batch, noise):
    sequence = torch.cat([batch.inputs[:1], batch.targets]).nan_to_num()
    asked = torch.cat([torch.zeros_like(batch.asked[:1]), batch.asked])
    return model.explain(sequence, asked, batch.lengths + 1, noise)


@every
@pytest.mark.parametrize("head", [Bits(5), Gauss(5)], ids=lambda head: head.name)
def test_the_bound_is_that_of_the_steps_one_by_one(name, head):
    model, batch = model_of(name, head), batch_of(bits=head.name == "bits")
    noise = torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    drawn = explained(model, batch, noise)
    bound, weights = by_steps(model, batch, noise)
    assert_close(drawn.bound.detach(), bound.detach())
    assert_close(drawn.log_weights.detach(), weights.detach())
    # What stands beyond the end of a sequence has no influence, nor has its noise.
    batch.inputs[5:, 1:], noise[6:, 1:] = 9.0, 9.0
    assert_same(explained(model, batch, noise).bound, drawn.bound)


@every
def test_the_kernels_run_it(name):
    model, batch = model_of(name), batch_of()
    given = {"x": batch.inputs, "before": batch.inputs, "eps": torch.zeros(7, 3, 3, dtype=torch.float64)}
    inputs = tuple(given[one] for one in model.recurrent.cell.inputs)
    assert [part.account.backend for part in gatework.explain(model.recurrent, inputs).parts] == ["cpu"]
    noise = torch.randn(8, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = []
    for backend in ("cpu", "reference"):
        model.recurrent.backend = backend
        model.zero_grad()
        bound = explained(model, batch, noise).bound
        bound.sum().backward()
        found.append([bound.detach(), *(one.grad for one in model.parameters())])
    kernels, reference = found
    assert_close(kernels, reference, "gradients")


def test_the_loss_draws_from_torchs_generator_and_weighs_the_divergence():
    model, batch = model_of("vrnn"), batch_of()
    losses = []
    for weight in (0.0, 0.5, 1.0):
        torch.manual_seed(3)
        total, asked, state = model.loss(batch, "bits", kl_weight=weight)
        losses.append(total)
    assert (asked, state) == (12, None)
    assert_close(losses[1] - losses[0], losses[2] - losses[1])
    torch.manual_seed(3)
    noise = torch.randn(8, 3, 3, dtype=torch.float64)
    assert_close(losses[2], -explained(model, batch, noise).bound.sum())


def test_a_measurement_draws_its_own_noise_and_the_estimate_grows():
    model, batch = model_of("vrnn", dropout=0.5).train(), batch_of((7,) * 200)
    state = torch.get_rng_state()
    score, groups = model.measure(batch, TASK)
    again, _ = model.measure(batch, TASK)
    assert (score, groups) == (again, {})
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert set(score.named()) == {"loss", "kl"}
    estimates = [model.measure(batch, TASK, draws)[0].named() for draws in (1, 5, 50)]
    assert [one["estimate"] for one in estimates] == sorted((one["estimate"] for one in estimates), reverse=True)
    assert all(one["estimate"] <= one["loss"] for one in estimates[1:])
    assert type(score).of_sums(score.sums(), TASK) == score


def test_an_estimate_is_never_above_the_sampled_bound_of_the_same_draws(monkeypatch):
    model, batch, seen = model_of("storn"), batch_of((7, 4, 1)), []
    monkeypatch.setattr(
        "gatework.models.latent.importance_weighted",
        lambda weights: (seen.append(weights), torch.logsumexp(weights, 0) - math.log(len(weights)))[1],
    )
    score, _ = model.measure(batch, TASK, draws=20)
    (weights,) = seen
    assert weights.shape == (20, 3)
    assert score.estimate is not None
    assert score.estimate <= -float(sampled_bound(weights).sum())


LINEAR = """
mu = W_mu @ x + R_mu @ h + b_mu
sd = abs(b_sd)
mu0 = R_mu0 @ h + b_mu0
sd0 = abs(b_sd0)
z = mu + sd * eps
h = V @ z
"""
SET = {"W_mu": 0.35, "R_mu": 0.4, "b_mu": 0.1, "b_sd": 0.6, "R_mu0": 0.8, "b_mu0": -0.1, "b_sd0": 0.5, "V": 1.0}
GAIN, OFFSET, NOISE = 1.2, 0.3, 0.7


def linear():
    """A linear-Gaussian state-space model: z_t ~ N(0.8 z_{t-1} - 0.1, 0.5²), x_t ~ N(1.2 z_t + 0.3, 0.7²)."""
    known = cell(LINEAR, states="h", inputs="x eps", outputs="mu sd mu0 sd0", sizes="z=mu0=sd0", name="linear")
    model = LatentModel(1, Gauss(1), known, 1).double()
    with torch.no_grad():
        for name, value in SET.items():
            model.recurrent.named_weights(0)[name].fill_(value)
        model.head.weight.copy_(torch.tensor([[GAIN], [0.0]]))
        model.head.bias.copy_(torch.tensor([OFFSET, math.log(math.expm1(NOISE - 1e-4))]))
    return model


def kalman(steps):
    """log p(x_1 .. x_T | x_0) where z_0 has the distribution that the posterior gives it."""
    mean, variance, total = SET["W_mu"] * steps[0] + SET["b_mu"], SET["b_sd"] ** 2, 0.0
    for step in steps[1:]:
        mean, variance = SET["R_mu0"] * mean + SET["b_mu0"], SET["R_mu0"] ** 2 * variance + SET["b_sd0"] ** 2
        spread = GAIN**2 * variance + NOISE**2
        off = step - GAIN * mean - OFFSET
        total += -0.5 * (math.log(2 * math.pi * spread) + off**2 / spread)
        share = variance * GAIN / spread
        mean, variance = mean + share * off, (1 - share * GAIN) * variance
    return total


def test_the_estimate_reaches_the_likelihood_of_a_kalman_filter():
    model, batch = linear(), batch_of((6, 4, 5, 2), size=1, bits=False)
    rows = [
        [batch.inputs[0, row].item(), *(step for step in batch.targets[:, row, 0].tolist() if not math.isnan(step))]
        for row in range(batch.size)
    ]
    truth = -sum(map(kalman, rows))
    score, _ = model.measure(batch, TASK, 20000)
    assert score.loss > truth + 0.5
    assert score.estimate == pytest.approx(truth, abs=0.02)
    # Without bias: the mean weight of each sequence is its likelihood, within five standard errors.
    generator = torch.Generator().manual_seed(5)
    for row, steps in enumerate(rows):
        one = batch.columns(slice(row, row + 1))
        weights = model._repeated(one, 20000, generator).log_weights - kalman(steps)
        ratio = weights.detach().exp()
        assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / 20000**0.5


def test_what_is_drawn_has_the_moments_of_the_model():
    model, count = linear(), 20000
    begin = torch.full((1, count, 1), 0.9, dtype=torch.float64)
    found = model.draw(begin, 3, torch.Generator().manual_seed(0))[..., 0]
    assert found.shape == (3, count)
    decay, hidden, spread = SET["R_mu0"], SET["W_mu"] * 0.9 + SET["b_mu"], SET["b_sd"] ** 2
    means, variances = [], []
    for _ in range(3):
        hidden, spread = decay * hidden + SET["b_mu0"], decay**2 * spread + SET["b_sd0"] ** 2
        means.append(GAIN * hidden + OFFSET)
        variances.append(spread)
    for time in range(3):
        variance = GAIN**2 * variances[time] + NOISE**2
        assert abs(float(found[time].mean()) - means[time]) < 5 * (variance / count) ** 0.5
        assert abs(float(found[time].var()) / variance - 1) < 5 * (2 / count) ** 0.5
    together = float(((found[0] - means[0]) * (found[1] - means[1])).mean())
    assert together == pytest.approx(GAIN**2 * decay * variances[0], abs=0.05)


@every
def test_drawing_is_decided_by_its_seed(name):
    model, state = model_of(name).train(), torch.get_rng_state()
    begin = batch_of().inputs[:2]
    first, other = (model.draw(begin, 6, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert_same(first, model.draw(begin, 6, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert model.draw(begin, 0, torch.Generator()).shape == (0, 3, 5)
    with pytest.raises(
        SizeError, match=r"The beginning has the shape \[0, 3, 5\]; expected \[T, B, 5\], with one step"
    ):
        model.draw(begin[:0], 6, torch.Generator())


@every
def test_a_reconstruction_has_the_posterior_means(name):
    model, inputs = model_of(name), batch_of((7, 7)).inputs
    scores, _ = model(inputs)
    drawn = model.explain(inputs, torch.ones(7, 2, dtype=torch.bool), noise=torch.zeros(7, 2, 3, dtype=torch.float64))
    assert_close(-Bits(5).loss(scores, inputs).detach(), drawn.likelihood.view(7, 2).detach())
    trace = gatework.trace(model, inputs)
    assert_close(trace["z"], trace["mu"])
    assert trace["mu0"].shape == (7, 2, 3)


def test_no_sequences_at_all():
    model = model_of("vrnn")
    nothing = Batch(torch.zeros(4, 0, 5).double(), torch.zeros(4, 0, 5).double())
    assert model.measure(nothing, TASK)[0].named() == {"loss": 0.0, "kl": 0.0}


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda: LatentModel(5, Bits(5), "lstm", 8), CellError, "The cell `lstm` reads x and delivers nothing"),
        (lambda: LatentModel(5, Bits(5), "vrnn", 8, bidirectional=True), SizeError, "bidirectional is True; expected"),
        (lambda: LatentModel(5, Bits(4), "vrnn", 8), SizeError, "expected a head for 5 numbers or questions of a step"),
        (lambda: LatentModel(5, Choice(5), "vrnn", 8), SizeError, "The head 'choice' gives one of several classes"),
    ],
)
def test_what_does_not_fit_is_refused(made, error, message):
    with pytest.raises(error, match=message):
        made()


def test_which_sequences_continue():
    batch = batch_of()
    assert is_continued(batch)
    broken = batch.targets.clone()
    broken[1, 0] = 1 - broken[1, 0]
    assert not is_continued(Batch(batch.inputs, broken, batch.lengths))
    broken[1, 0] = math.nan
    assert not is_continued(Batch(batch.inputs, broken, batch.lengths))
    assert not is_continued(Batch(batch.inputs, batch.targets[..., :1], batch.lengths))
    assert not is_continued(Batch(batch.inputs[..., 0].long(), batch.targets[..., 0].long()))
