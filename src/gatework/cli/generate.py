"""``gatework generate``: let a run's model write."""

import sys

from rich.text import Text

from gatework.cli.output import Checkpoint, Json, Whole, checkpoint_step, out, print_json
from gatework.errors import printable
from gatework.training import generate as write


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
    checkpoint: Checkpoint = "last",
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Let a trained model write.

    Args:
        run: The run's directory.
        prompt: The text to continue; by default the beginning of a line.
        temperature: Below 1, likely symbols become more likely; 0 always takes the most likely symbol.
        top_p: Sample from the most likely symbols that together have this probability.
        top_k: Sample from this number of most likely symbols; 0 for no limit.
        length: Number of bytes, characters or words to generate.
        seed: Seed of the random generator; the same seed gives the same text.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        device: cpu, cuda, cuda:N, mps, or auto.
        json: Print JSON, for programs.
    """
    result = write(
        run,
        prompt,
        length=length,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        step=checkpoint_step(checkpoint),
        device=device,
    )
    if json:
        print_json(result.to_json())
    elif sys.stdout.isatty():
        text = Text(printable(result.text))
        if prompt and result.text.startswith(prompt):
            text.stylize("bold", 0, len(printable(prompt)))
        out().print(text, soft_wrap=True)
    else:
        print(result.text)
