"""Heads over numbers: a density is its formula, integrates to one, and is drawn as often."""

import math

import pytest
import torch
from tests.tolerances import assert_close

from gatework.errors import SizeError
from gatework.heads import HEADS, Gauss, Mixture, Number, Pen, Quantiles
from gatework.heads.amounts import FLOOR

DENSITIES = [Gauss(2), Mixture(2, components=3), Mixture(1, components=1), Pen(components=3), Pen(components=1)]


def named(head):
    return f"{head.name}{head.numbers}"


def drawn(head, rows, seed=0, dtype=torch.float64, spread=0.7):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, head.numbers, generator=generator, dtype=torch.float64) * spread
    targets = torch.randn(rows, head.size, generator=generator, dtype=torch.float64)
    if isinstance(head, Pen):
        targets[:, 2] = (targets[:, 2] > 0).double()
    return scores.to(dtype), targets.to(dtype)


def softplus(number):
    return math.log1p(math.exp(-abs(number))) + max(number, 0.0)


def shares(raw):
    powers = [math.exp(one) for one in raw]
    return [one / sum(powers) for one in powers]


def normal(value, mean, deviation):
    return math.exp(-((value - mean) ** 2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))


def density(head, scores, target):
    """The density at one target, number by number as the papers write it."""
    if isinstance(head, Gauss):
        size = head.size
        pairs = [(scores[k], softplus(scores[size + k]) + FLOOR) for k in range(size)]
        return math.prod(normal(target[k], *pairs[k]) for k in range(size))
    if isinstance(head, Mixture):
        count, size = head.components, head.size
        means, raw = scores[count : count + count * size], scores[count + count * size :]
        return sum(
            share
            * math.prod(
                normal(target[k], means[m * size + k], softplus(raw[m * size + k]) + FLOOR) for k in range(size)
            )
            for m, share in enumerate(shares(scores[:count]))
        )
    count, total = head.components, 0.0
    end, rest = 1 / (1 + math.exp(scores[0])), scores[1:]
    for m, share in enumerate(shares(rest[:count])):
        mean = rest[count + 2 * m : count + 2 * m + 2]
        first, second = (math.exp(one) + FLOOR for one in rest[3 * count + 2 * m : 3 * count + 2 * m + 2])
        tie = (1 - 1e-4) * math.tanh(rest[5 * count + m])
        u, v = (target[0] - mean[0]) / first, (target[1] - mean[1]) / second
        z = u * u + v * v - 2 * tie * u * v
        total += share * math.exp(-z / (2 * (1 - tie**2))) / (2 * math.pi * first * second * math.sqrt(1 - tie**2))
    return total * (end if target[2] == 1 else 1 - end)


@pytest.mark.parametrize("head", DENSITIES, ids=named)
def test_the_loss_is_the_papers_formula(head):
    scores, targets = drawn(head, 20)
    expected = [-math.log(density(head, *row)) for row in zip(scores.tolist(), targets.tolist(), strict=True)]
    assert_close(head.loss(scores, targets), torch.tensor(expected, dtype=torch.float64))
    assert head.loss(scores.view(4, 5, -1), targets.view(4, 5, -1)).shape == (4, 5)


def grid(head, steps, reach):
    """Every target on a grid, and the size of its square or its line."""
    line = torch.linspace(-reach, reach, steps, dtype=torch.float64)
    if head.size == 1:
        return line[:, None], float(line[1] - line[0])
    plane = torch.cartesian_prod(line, line)
    if isinstance(head, Pen):
        bits = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat_interleave(len(plane))[:, None]
        plane = torch.cat([plane.repeat(2, 1), bits], dim=1)
    return plane, float(line[1] - line[0]) ** 2


@pytest.mark.parametrize("head", DENSITIES, ids=named)
def test_the_density_integrates_to_one(head):
    scores, _ = drawn(head, 3, seed=1, spread=0.4)
    targets, size = grid(head, 401, 25.0)
    for row in scores:
        total = (-head.loss(row.expand(len(targets), -1), targets)).exp().sum() * size
        assert float(total) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("head", [*DENSITIES, Quantiles(2), Number(3)], ids=named)
def test_gradients_are_those_of_differences(head):
    scores, targets = drawn(head, 4, seed=2)
    assert torch.autograd.gradcheck(lambda given: head.loss(given, targets), [scores.requires_grad_()])


@pytest.mark.parametrize("head", DENSITIES, ids=named)
def test_moments_of_samples_are_those_on_the_grid(head):
    scores, _ = drawn(head, 1, seed=3, spread=0.4)
    many = 40_000
    found = head.sample(scores.expand(many, -1), torch.Generator().manual_seed(0))
    targets, size = grid(head, 401, 25.0)
    weights = (-head.loss(scores.expand(len(targets), -1), targets)).exp() * size
    mean = (weights[:, None] * targets).sum(dim=0)
    second = (weights[:, None, None] * targets[:, :, None] * targets[:, None, :]).sum(dim=0)
    assert found.shape == (many, head.size)
    products = found[:, :, None] * found[:, None, :]
    # Five standard errors, which the samples themselves tell.
    assert bool(((found.mean(dim=0) - mean).abs() < 5 * found.std(dim=0) / many**0.5 + 1e-6).all())
    assert bool(((products.mean(dim=0) - second).abs() < 5 * products.std(dim=0) / many**0.5 + 1e-6).all())
    if not isinstance(head, Pen):
        assert_close(head.answer(scores)[0], mean)
    else:
        assert_close(head.answer(scores)[0, :2], mean[:2])
        assert head.answer(scores)[0, 2] == (mean[2] > 0.5)


@pytest.mark.parametrize("head", DENSITIES, ids=named)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_numbers_give_finite_losses_and_gradients(head, dtype):
    for size in (30.0, 200.0):
        scores = (torch.arange(head.numbers * 4).view(4, -1) % 3 - 1).to(dtype) * size
        targets = torch.full((4, head.size), 1.0, dtype=dtype)
        nats = head.loss(scores.requires_grad_(), targets)
        nats.sum().backward()
        assert bool(torch.isfinite(nats).all())
        assert scores.grad is not None
        assert bool(torch.isfinite(scores.grad).all())
        scores = scores.detach()


@pytest.mark.parametrize("name", ["gauss", "mixture", "pen", "quantiles"])
def test_half_precision_is_computed_in_float32(name):
    head = HEADS[name](3)
    scores, targets = drawn(head, 5, dtype=torch.bfloat16)
    expected = head.loss(scores.float(), targets.float())
    assert head.loss(scores, targets).dtype == torch.float32
    torch.testing.assert_close(head.loss(scores, targets.float()), expected, rtol=0, atol=0)


def test_one_component_is_the_normal_distribution():
    scores, targets = drawn(Gauss(3), 6)
    weight = torch.zeros(6, 1, dtype=torch.float64)
    single = Mixture(3, components=1)
    assert_close(single.loss(torch.cat([weight, scores], dim=1), targets), Gauss(3).loss(scores, targets))


def test_a_bias_makes_the_pen_regular():
    """Graves 2013, equations 61 and 62: with a large bias only the likeliest component is left, and no spread."""
    head = Pen(components=2)
    scores = torch.zeros(1, head.numbers, dtype=torch.float64)
    scores[0, 1:3] = torch.tensor([1.0, 0.0])
    scores[0, 3:7] = torch.tensor([3.0, -2.0, 0.0, 0.0])
    found = head.sample(scores.expand(200, -1), torch.Generator().manual_seed(0), bias=20.0)
    expected = torch.tensor([3.0, -2.0], dtype=torch.float64).expand(200, 2)
    torch.testing.assert_close(found[:, :2], expected, rtol=0, atol=0.001)
    assert found[:, 2].unique().tolist() == [0.0, 1.0]
    with pytest.raises(SizeError, match=r"bias is -1; expected 0 \(the distribution of the model\) or a number above"):
        head.sample(scores, torch.Generator(), bias=-1)


def test_the_best_constant_of_the_pinball_loss_is_the_quantile():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2001, 1, generator=generator, dtype=torch.float64)
    head = Quantiles(1, levels=(0.25, 0.5, 0.9))
    tried = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    for place, level in enumerate(head.levels):
        scores = torch.zeros(len(tried), 3, dtype=torch.float64)
        scores[:, place] = tried
        losses = torch.stack([head.loss(row.expand(2001, -1), values).mean() for row in scores])
        assert float(tried[losses.argmin()]) == pytest.approx(float(values[:, 0].quantile(level)), abs=0.006)


def test_quantiles_are_sorted_and_joined_by_lines():
    head = Quantiles(1, levels=(0.2, 0.4, 0.8))
    crossed = torch.tensor([[4.0, 0.0, 2.0]], dtype=torch.float64)  # sorted: 0, 2, 4
    levels = torch.tensor([0.0, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0], dtype=torch.float64)[:, None]
    expected = torch.tensor([0, 0, 1, 2, 3, 4, 4], dtype=torch.float64)[:, None]
    assert_close(head.invert(crossed.expand(7, -1), levels), expected)
    assert head.answer(crossed).item() == pytest.approx(2.5)
    found = head.sample(crossed.expand(20_000, -1), torch.Generator().manual_seed(1))
    for level, quantile in ((0.3, 1.0), (0.6, 3.0)):
        assert float((found < quantile).double().mean()) == pytest.approx(level, abs=5 * 0.5 / 20_000**0.5)
    assert Quantiles(2, levels=(0.5,)).answer(torch.tensor([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("head", [*DENSITIES, Quantiles(2), Number(2)], ids=named)
def test_no_rows_give_no_losses(head):
    scores, targets = torch.zeros(0, head.numbers), torch.zeros(0, head.size)
    assert head.loss(scores, targets).shape == (0,)
    assert head.answer(scores).shape == head.sample(scores, torch.Generator()).shape == (0, head.size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gauss(0), "size is 0; expected a whole number of 1 or more."),
        (lambda: Mixture(2, components=0), "components is 0; expected a whole number of 1 or more."),
        (lambda: Pen(2), "size is 2; expected 3 for a pen: two offsets and the end of a stroke."),
        (lambda: Quantiles(1, levels=()), "levels is []; expected rising numbers between 0 and 1"),
        (lambda: Quantiles(1, levels=(0.5, 0.1)), "levels is [0.5, 0.1]; expected rising numbers between 0 and 1"),
        (lambda: Quantiles(1, levels=(0.0, 0.5)), "levels is [0.0, 0.5]; expected rising numbers between 0 and 1"),
        (lambda: Quantiles(1, levels=(float("nan"),)), "levels is [nan]; expected rising numbers between 0 and 1"),
    ],
)
def test_what_is_no_head_is_refused(make, message):
    with pytest.raises(SizeError) as refused:
        make()
    assert message in str(refused.value)
