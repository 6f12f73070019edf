"""``gatework generate``: let a run's model write."""

import sys
from typing import Any

from rich.text import Text

from gatework.cli.output import Checkpoint, Json, Whole, checkpoint_step, out, print_json
from gatework.errors import printable
from gatework.training import generate as write
from gatework.training.generation import stream


def generate(
    run: str,
    /,
    *,
    prompt: str = "",
    temperature: float = 0.8,
    top_p: float = 1.0,
    top_k: Whole = 0,
    length: Whole = 500,
    seed: Whole = 0,
    beams: Whole = 0,
    checkpoint: Checkpoint = "last",
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Let a trained model write; the text appears as it is written, and Ctrl-C ends it.

    Args:
        run: The run's directory.
        prompt: The text to continue; by default the beginning of a line.
        temperature: Below 1, likely symbols become more likely; 0 always takes the most likely symbol.
        top_p: Sample from the most likely symbols that together have this probability.
        top_k: Sample from this number of most likely symbols; 0 for no limit.
        length: Number of bytes, characters, words or pieces to generate; with --json at most 10,000,000.
        seed: Seed of the random generator; the same seed gives the same text.
        beams: Write the most probable text that a search with this number of beams finds; 0 draws symbols.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        device: cpu, cuda, cuda:N, mps, or auto.
        json: Print JSON, for programs.
    """
    sampling = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    asked: dict[str, Any] = {
        "length": length,
        "seed": seed,
        "beams": beams,
        "step": checkpoint_step(checkpoint),
        "device": device,
    }
    asked |= sampling
    if json:
        print_json(write(run, prompt, **asked).to_json())
        return
    found = stream(run, prompt, **asked)
    terminal = sys.stdout.isatty()
    if terminal:
        out().print(Text(printable(found.prompt), "bold"), end="", soft_wrap=True)
    else:
        sys.stdout.write(found.prompt)
    try:
        for part in found.parts:
            # A terminal, and whoever reads a pipe, sees each part as it is written.
            sys.stdout.write(printable(part) if terminal else part)
            sys.stdout.flush()
    finally:
        print()  # also after Ctrl-C, so that the shell's prompt begins a line
