"""Write the figures of two essays, drawn from equations, into a folder.

"Understanding LSTM Networks" (Olah 2015): the loop, the chain, the short and the long gap, the simple and the LSTM
chain, the notation, the state's line, a gate, the four steps, peepholes, coupled gates, the GRU. "Demystifying LSTM
neural networks": the memory with its loop of weight 1.

    python examples/essay_figures.py FOLDER [--png] [--dark] [--language zh-Hans]
"""

import argparse
from pathlib import Path

from gatework.diagram import LANGUAGES, Picture, draw, gate_scene, notation_scene, unrolled_scene

# Inputs that matter to an output, near and far.
SHORT = (("0", "1", "2", "3", "4"), ("x0", "x1", "h3"))
LONG = (("0", "1", "2", "", "t", "t+1", "t+2"), ("x0", "x1", "ht+1"))


def figures(dark: bool, language: str) -> dict[str, Picture]:
    """Draw all of them, by name."""
    look = {"dark": dark, "language": language}
    steps = draw("lstm", "walk", **look).parted()
    return {
        "01-loop": draw("rnn", "loop", **look),
        "02-unrolled": draw("rnn", "unrolled", **look),
        "03-short-gap": Picture(unrolled_scene(*SHORT, language=language), dark),
        "04-long-gap": Picture(unrolled_scene(*LONG, language=language), dark),
        "05-simple-chain": draw("rnn", "chain", **look),
        "06-lstm-chain": draw("lstm", "chain", **look),
        "07-notation": Picture(notation_scene(language), dark),
        "08-state-line": draw("lstm", "line", **look),
        "09-gate": Picture(gate_scene(language), dark),
        **{f"{10 + number}-step-{number + 1}": step for number, step in enumerate(steps)},
        "14-peepholes": draw("lstm", "compare", other="peephole", **look),
        "15-coupled": draw("lstm", "compare", other="cifg", **look),
        "16-gru": draw("gru_v3", **look),
        "17-memory": draw("lstm_1997", "memory", **look),
        "18-memory-with-forget-gate": draw("lstm", "memory", **look),
    }


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--png", action="store_true", help="PNG instead of SVG")
    parser.add_argument("--dark", action="store_true", help="for dark paper")
    parser.add_argument("--language", choices=LANGUAGES, default="en")
    words = parser.parse_args()
    for name, picture in figures(words.dark, words.language).items():
        print(picture.save(words.folder / f"{name}.{'png' if words.png else 'svg'}"))


if __name__ == "__main__":
    main()
