"""Train the small word model of Zaremba et al. 2014 as `gatework train` does, and as anybody would with torch alone.

    python benchmarks/ptb_beside_torch.py --data FOLDER [--cells lstm,gru,cifg,peephole] [--epochs 13 | --steps 200]
                                          [--threads 2] [--write benchmarks/results/ptb.json]

FOLDER holds ptb.train.txt, ptb.valid.txt and ptb.test.txt. Ours is the trainer behind `gatework train`; theirs is a
plain loop around torch.nn.LSTM (for `gru` torch.nn.GRU), torch.nn.Linear and torch's cross entropy. Both start from the
same weights, read the same windows in the same order and follow the same schedule. Before anything is timed, the loss
and every gradient of the first step are compared. The two take turns of so many steps, so that a machine that slows
down slows both. Cells that torch does not have are trained alone. Only training is timed, not looking at held-out text.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatework.errors import ConfigError
from gatework.models.language import LanguageModel, measure
from gatework.training.config import TrainConfig, make_config, read_toml
from gatework.training.jobs.text import Text, TextJob, build_model, read_text
from gatework.training.parallel import ProcessGroup
from gatework.training.schedule import learning_rate
from gatework.training.trainer import Trainer

EXAMPLE = Path(__file__).parent.parent / "examples" / "ptb_small_lstm.toml"

# What torch has of its own: the layer, and the gates in its order. GRU's second bias acts for its last gate only.
PEERS: dict[str, tuple[Callable[..., nn.LSTM | nn.GRU], str]] = {"lstm": (nn.LSTM, "ifgo"), "gru": (nn.GRU, "rzn")}


class Peer(nn.Module):
    """The same model out of torch's own parts, with the same weights."""

    def __init__(self, cell: str, model: LanguageModel, config: TrainConfig) -> None:
        super().__init__()
        make, self.gates = PEERS[cell]
        self.hidden_size = config.hidden_size
        self.embedding = nn.Embedding.from_pretrained(model.embedding.weight.detach().clone(), freeze=False)
        self.layer = make(config.input_size, config.hidden_size, config.num_layers)
        self.head = nn.Linear(config.output_size, model.head.out_features)
        with torch.no_grad():
            self.head.weight.copy_(model.head.weight)
            self.head.bias.copy_(model.head.bias)
            for number in range(config.num_layers):
                self._take(number, model.recurrent.named_weights(number))

    def _take(self, number: int, ours: dict[str, Tensor]) -> None:
        for key, letter in (("weight_ih", "W"), ("weight_hh", "R"), ("bias_ih", "b")):
            getattr(self.layer, f"{key}_l{number}").copy_(torch.cat([ours[f"{letter}_{gate}"] for gate in self.gates]))
        second = getattr(self.layer, f"bias_hh_l{number}").zero_()
        if "c_n" not in ours:
            second.requires_grad_(False)  # the equations have one bias, which two would teach twice as fast
            return
        second[-self.hidden_size :] = ours["c_n"]
        learned = torch.zeros_like(second)
        learned[-self.hidden_size :] = 1
        second.register_hook(lambda gradient: gradient * learned)

    def give_back(self, model: LanguageModel, *, gradients: bool = False) -> None:
        """Write the weights, or their gradients, into our model."""
        with torch.no_grad():
            for name in ("embedding.weight", "head.weight", "head.bias"):
                model.get_parameter(name).copy_(_value(self.get_parameter(name), gradients))
            for number in range(self.layer.num_layers):
                ours = model.recurrent.named_weights(number)
                for key, letter in (("weight_ih", "W"), ("weight_hh", "R"), ("bias_ih", "b")):
                    whole = _value(getattr(self.layer, f"{key}_l{number}"), gradients)
                    for gate, part in zip(self.gates, whole.chunk(len(self.gates)), strict=True):
                        ours[f"{letter}_{gate}"].copy_(part)
                if "c_n" in ours:
                    second = _value(getattr(self.layer, f"bias_hh_l{number}"), gradients)
                    ours["c_n"].copy_(second[-self.hidden_size :])


def _value(parameter: Tensor, gradient: bool) -> Tensor:
    if not gradient:
        return parameter
    assert parameter.grad is not None
    return parameter.grad


class Theirs:
    """The loop that anybody would write."""

    def __init__(self, config: TrainConfig, text: Text, ours: "Ours") -> None:
        self.config, self.text, self.streams, self.steps = config, text, ours.job.streams, ours.trainer.steps
        self.model = Peer(config.cell, ours.model, config)
        self.name = f"torch.nn.{type(self.model.layer).__name__}"
        self.learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(self.learned, lr=config.learning_rate)
        # Ours, to be measured with the weights that theirs has learned.
        self.mirror = build_model(config, len(text.vocabulary), torch.device("cpu"))
        self.step = 0
        self.state: Any = None

    def gradients(self) -> float:
        """Compute the gradients of the next step, and its loss in nats per word."""
        place = self.step % self.streams.windows_per_epoch
        read, targets = self.streams.window(place, slice(None))
        output, state = self.model.layer(self.model.embedding(read), None if place == 0 else self.state)
        scores = self.model.head(output)
        nats = functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum")
        self.optimizer.zero_grad()
        (nats / self.config.batch_size).backward()
        self.state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        return float(nats.detach()) / targets.numel()

    def train_step(self) -> None:
        """Take one step."""
        self.gradients()
        nn.utils.clip_grad_norm_(self.learned, self.config.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step + 1, self.steps, self.streams.windows_per_epoch)
        self.optimizer.step()
        self.step += 1

    def perplexity(self, split: str, streams: int | None = None) -> float:
        """Measure it as ours is measured."""
        self.model.give_back(self.mirror)
        return measure(self.mirror, self.text.tokens[split], self.text.vocabulary, streams=streams).perplexity


class Ours:
    """The trainer behind `gatework train`."""

    name = "gatework"

    def __init__(self, config: TrainConfig, text: Text) -> None:
        self.job = TextJob(config, text)
        self.trainer = Trainer(config, self.job, ProcessGroup())
        assert isinstance(self.trainer.model, LanguageModel)
        self.model = self.trainer.model

    def train_step(self) -> None:
        """Take one step."""
        self.trainer.train_step()

    def perplexity(self, split: str, streams: int | None = None) -> float:
        """Measure it as `gatework evaluate` does."""
        return measure(self.model, self.job.text.tokens[split], self.job.text.vocabulary, streams=streams).perplexity


def compare_first_step(config: TrainConfig, text: Text, theirs: Theirs) -> dict[str, float]:
    """Give the largest relative difference of the first step's loss and of any gradient; refuse to go on if large."""
    # Another one, since looking at its gradients takes a step.
    trainer = Trainer(config, TextJob(config, text), ProcessGroup())
    _, loss = trainer.train_step()
    their_loss = theirs.gradients()
    nn.utils.clip_grad_norm_(theirs.learned, config.clip_norm)
    theirs.model.give_back(theirs.mirror, gradients=True)
    found = {"loss": abs(loss - their_loss) / their_loss, "gradient": 0.0}
    for name, own in trainer.parameters.items():
        assert own.grad is not None, name
        other = theirs.mirror.get_parameter(name).detach()
        found["gradient"] = max(found["gradient"], float((own.grad - other).abs().max() / other.abs().max()))
    if found["loss"] > 1e-5 or found["gradient"] > 1e-3:
        raise SystemExit(f"the two models differ: {found}; no times are given")
    return found


def race(config: TrainConfig, text: Text, turn: int, keep: Callable[[dict[str, Any]], None]) -> None:
    """Train a cell, and its peer beside it where torch has one; hand over the result after each epoch."""
    ours = Ours(config, text)
    runners: list[Ours | Theirs] = [ours]
    result: dict[str, Any] = {"steps": 0}
    if config.cell in PEERS:
        runners.append(Theirs(config, text, ours))
        result["first_step"] = compare_first_step(config, text, runners[1])  # pyrefly: ignore
        print(f"{config.cell}: the first step differs by {result['first_step']} (relative)", flush=True)
    for runner in runners:
        result[runner.name] = {"seconds": 0.0, "valid_perplexity": [], "test_perplexity": None}
    windows, steps = ours.job.steps_per_epoch, ours.trainer.steps
    done = 0
    while done < steps:
        many = min(turn, windows - done % windows, steps - done)
        for runner in runners:
            start = time.perf_counter()
            for _ in range(many):
                runner.train_step()
            result[runner.name]["seconds"] += time.perf_counter() - start
        runners.reverse()  # neither is always the one that begins
        result["steps"] = done = done + many
        if done % windows == 0 or done == steps:
            look(config.cell, runners, result, last=done == steps)
            keep(result)


def look(cell: str, runners: list[Ours | Theirs], result: dict[str, Any], *, last: bool) -> None:
    """Measure the held-out text, at the end the test text too, as one stream; say what was found."""
    for runner in sorted(runners, key=lambda runner: runner.name):
        own = result[runner.name]
        own["valid_perplexity"].append(runner.perplexity("valid"))
        line = f"{own['seconds']:,.1f} s, held out: perplexity {own['valid_perplexity'][-1]:.2f}"
        if last:
            own["test_perplexity"] = runner.perplexity("test", streams=1)
            line += f", test: {own['test_perplexity']:.2f}"
        print(f"{cell} by {runner.name}, after {result['steps']:,} steps: {line}", flush=True)


def settings(arguments: argparse.Namespace, cell: str) -> TrainConfig:
    """Read the example's settings, with what the command line changes; refuse what the plain loop does not do."""
    changes = {"data": arguments.data, "cell": cell, "threads": arguments.threads}
    if arguments.steps is not None or arguments.epochs is not None:
        changes |= {"epochs": arguments.epochs, "steps": arguments.steps}
    config = make_config({**read_toml(arguments.config), **changes})
    plain = {"optimizer": "sgd", "reduction": "sum_over_time", "dropout": 0.0, "weight_decay": 0.0, "device": "cpu"}
    plain |= {"tie_weights": False, "layer_norm": False, "proj_size": 0, "zoneout": {}, "recurrent_dropout": 0.0}
    other = [name for name, value in plain.items() if getattr(config, name) != value]
    if other or not config.clip_norm:
        raise ConfigError(f"settings '{arguments.config}': the loop beside ours has no {', '.join(other or ['limit'])}")
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", type=Path, default=EXAMPLE)
    parser.add_argument("--cells", default="lstm,gru,cifg,peephole")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--steps", type=int, help="a short run, in place of epochs")
    parser.add_argument("--turn", type=int, default=100, help="steps that one takes before it is the other's turn")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--write", type=Path, help="a JSON file, written after each epoch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    cells = arguments.cells.split(",")
    config = settings(arguments, cells[0])
    text = read_text(config)
    written: dict[str, Any] = {
        "config": config.model_dump(mode="json", exclude={"data", "run", "cell"}),
        "text": text.facts()["splits"],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "torch": torch.__version__,
        "cells": {},
    }

    def keep(cell: str, result: dict[str, Any]) -> None:
        written["cells"][cell] = result
        if arguments.write:
            arguments.write.parent.mkdir(parents=True, exist_ok=True)
            arguments.write.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")

    for cell in cells:
        race(settings(arguments, cell), text, arguments.turn, lambda result, cell=cell: keep(cell, result))
    for cell, result in written["cells"].items():
        seconds = {name: own["seconds"] for name, own in result.items() if isinstance(own, dict) and "seconds" in own}
        ours = seconds.pop("gatework")
        beside = "".join(f", {ours / other:.2f} times that of {name}" for name, other in seconds.items())
        print(f"{cell}: {ours:,.1f} s{beside}", flush=True)


if __name__ == "__main__":
    main()
