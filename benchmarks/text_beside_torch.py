"""Train one language model twice in one process, with gatework.Recurrent("lstm") and with torch.nn.LSTM.

    python benchmarks/text_beside_torch.py --data FILE [--steps 1000] [--write benchmarks/results/NAME.json]

Both start from the same weights, read the same windows in the same order and follow the same schedule. Before anything
is timed, the loss and every gradient of the first step are compared. The two take turns, so that a machine that slows
down slows both.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from gatework.data.streams import Streams
from gatework.models.language import LanguageModel, measure, surprise
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.text import Text, build_model, read_text
from gatework.training.schedule import learning_rate


class Peer(nn.Module):
    """torch.nn.LSTM with the weights of our layer; its second bias stays zero, for the equations have one."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        ours = model.recurrent
        assert isinstance(ours.input_size, int)
        assert isinstance(ours.hidden_size, int)
        self.layer = nn.LSTM(ours.input_size, ours.hidden_size, ours.num_layers, dropout=ours.dropout)
        with torch.no_grad():
            for name, theirs in self.layer.named_parameters():
                kind, _, layer = name.rpartition("_")
                if kind == "bias_hh":
                    theirs.zero_().requires_grad_(False)
                else:
                    theirs.copy_(getattr(ours, f"{kind.removesuffix('_ih') if kind == 'bias_ih' else kind}_{layer}"))

    def forward(self, signal: Tensor, state: tuple[Tensor, Tensor] | None, reset: Tensor | None = None) -> object:
        if reset is not None and state is not None:
            # Evaluation marks where a text begins; nn.LSTM has no such input, so its state is zeroed by hand.
            starts = reset.any(0)
            assert bool(reset[0].equal(starts)), "a reset inside a window"
            state = (state[0].masked_fill(starts[:, None], 0), state[1].masked_fill(starts[:, None], 0))
        return self.layer(signal, state)


class Run:
    """One of the two models with its optimiser and its carried state."""

    def __init__(self, config: TrainConfig, text: Text, beside: bool) -> None:
        self.config, self.text = config, text
        self.streams = Streams(text.tokens["train"], text.vocabulary.start, config.batch_size, config.window)
        torch.manual_seed(config.seed)
        self.model = build_model(config, len(text.vocabulary), torch.device("cpu"))
        if beside:
            self.model.recurrent = Peer(self.model)  # pyrefly: ignore
        self.learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.state: tuple[Tensor, Tensor] | None = None
        self.seconds: list[float] = []

    def gradients(self, step: int) -> tuple[float, list[Tensor]]:
        """Compute the loss in nats per symbol and the gradients of a step."""
        place = step % self.streams.windows_per_epoch
        if place == 0:
            self.state = None
        read, targets = self.streams.window(place, slice(None))
        scores, state = self.model(read, self.state)
        assert isinstance(state, tuple)
        loss = surprise(scores, targets) / targets.numel()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.state = (state[0].detach(), state[1].detach())
        return float(loss.detach()), [parameter.grad for parameter in self.learned if parameter.grad is not None]

    def train(self, step: int, steps: int) -> float:
        """Take one step; give its loss."""
        start = time.perf_counter()
        loss, _ = self.gradients(step)
        nn.utils.clip_grad_norm_(self.learned, self.config.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, step + 1, steps, self.streams.windows_per_epoch)
        self.optimizer.step()
        self.seconds.append(time.perf_counter() - start)
        return loss

    def held_out(self) -> float:
        """Measure the held-out loss in nats per symbol, over every symbol once."""
        return measure(self.model, self.text.tokens["valid"], self.text.vocabulary).loss


def compare_first_step(ours: Run, theirs: Run) -> tuple[float, float]:
    """Give the largest relative difference of the first step's loss and of any gradient; refuse to go on if large."""
    (loss, gradients), (their_loss, their_gradients) = ours.gradients(0), theirs.gradients(0)
    assert len(gradients) == len(their_gradients)
    of_loss = abs(loss - their_loss) / their_loss
    by_size = zip(sorted(gradients, key=_key), sorted(their_gradients, key=_key), strict=True)
    of_gradient = max(float((a - b).abs().max() / b.abs().max()) for a, b in by_size)
    ours.state = theirs.state = None
    if of_loss > 1e-5 or of_gradient > 1e-3:
        raise SystemExit(
            f"the two models differ: loss by {of_loss:.1e}, a gradient by {of_gradient:.1e}; no times are given"
        )
    return of_loss, of_gradient


def _key(gradient: Tensor) -> tuple[int, ...]:
    return (gradient.dim(), *gradient.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--every", type=int, default=250, help="steps between two looks at the held-out text")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    config = make_config({"data": arguments.data, "steps": arguments.steps})
    text = read_text(config)
    ours, theirs = Run(config, text, beside=False), Run(config, text, beside=True)
    of_loss, of_gradient = compare_first_step(ours, theirs)
    print(f"first step: loss differs by {of_loss:.1e}, gradients by at most {of_gradient:.1e} (relative)", flush=True)
    rows = []
    for step in range(arguments.steps):
        losses = [run.train(step, arguments.steps) for run in (ours, theirs)]
        if (step + 1) % arguments.every == 0 or step + 1 == arguments.steps:
            held = [run.held_out() for run in (ours, theirs)]
            rows.append({"step": step + 1, "train": losses, "held_out": held})
            print(
                f"step {step + 1:5}: held-out nats/symbol {held[0]:.4f} gatework, {held[1]:.4f} torch.nn.LSTM",
                flush=True,
            )
    medians = [sorted(run.seconds)[len(run.seconds) // 2] for run in (ours, theirs)]
    print(f"median step: {medians[0] * 1e3:.1f} ms gatework, {medians[1] * 1e3:.1f} ms torch.nn.LSTM", flush=True)
    result = {
        "config": config.model_dump(mode="json", exclude={"data", "run"}),
        "text": text.facts()["splits"],
        "first_step": {"loss": of_loss, "gradient": of_gradient},
        "order": ["gatework.Recurrent('lstm')", "torch.nn.LSTM"],
        "looks": rows,
        "median_step_seconds": medians,
        "machine": {"threads": torch.get_num_threads(), "torch": torch.__version__, "processor": platform.machine()},
    }
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
