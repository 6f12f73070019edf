"""How much memory a long text takes, in bytes per character: of training on it, and of measuring a run on it.

A text of random words and one of a thousandth of its size are trained on for one step, and the runs are measured, each
in a process of its own. The difference between the peaks of the two sizes is what the text takes.

    python benchmarks/text_memory.py --megabytes 200
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

LETTERS = {"latin": "etaoinshrdlu", "chinese": "的一是不了人我在有他这为之大来以个中上们"}
SMALL = (
    "--steps",
    "1",
    "--hidden-size",
    "4",
    "--batch-size",
    "2",
    "--valid-fraction",
    "0.01",
    "--threads",
    "1",
    "--evaluate-symbols",
    "1000",
)
PROGRAM = (
    "import resource, sys\n"
    "from gatework.cli.app import run\n"
    "status = run(sys.argv[1:])\n"
    "print('PEAK', 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    "sys.exit(status)\n"
)


def write_text(path: Path, size: int, letters: str) -> int:
    """Write lines of random words.

    Args:
        path: The file to write.
        size: The number of bytes, to a line.
        letters: The letters of the words.

    Returns:
        The number of characters.
    """
    random.seed(0)
    lines = [
        " ".join("".join(random.choices(letters, k=random.randint(2, 9))) for _ in range(12)) + "\n"
        for _ in range(20_000)
    ]
    written = characters = number = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            line = lines[number % len(lines)]
            file.write(line)
            written += len(line.encode())
            characters += len(line)
            number += 1
    return characters


def peak(*words: str) -> tuple[int, float]:
    """Run a command of gatework; return its peak memory in bytes, and its seconds."""
    began = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, encoding="utf-8", env=environment, check=False
    )
    if "PEAK" not in done.stdout or done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout.rsplit("PEAK", 1)[1]), time.monotonic() - began


def measure(level: str, letters: str, size: int, folder: Path) -> dict[str, float]:
    """Measure one level of one text; return bytes per character, and seconds."""
    found: dict[str, list[float]] = {"train": [], "evaluate": []}
    lengths, seconds = [], {}
    for bytes_ in (size // 1000, size):
        text, run = folder / f"{bytes_}.txt", folder / f"run-{level}-{bytes_}"
        lengths.append(write_text(text, bytes_, letters))
        data = ("--data", str(text), "--run", str(run), "--level", level)
        for verb, words in (("train", ("train", *data, *SMALL)), ("evaluate", ("evaluate", str(run)))):
            memory, seconds[verb] = peak(*words)
            found[verb].append(memory)
    return {
        **{verb: round((large - small) / (lengths[1] - lengths[0]), 2) for verb, (small, large) in found.items()},
        **{f"{verb}_seconds": round(taken, 1) for verb, taken in seconds.items()},
    }


def main() -> None:
    """Measure every level, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=200.0, help="the size of the large text")
    parser.add_argument("--levels", default="byte,char,word,bpe", help="the levels, with commas")
    parser.add_argument("--letters", default="latin,chinese", help="the letters, with commas")
    told = parser.parse_args()
    for letters in told.letters.split(","):
        for level in told.levels.split(","):
            with TemporaryDirectory() as folder:
                figures = measure(level, LETTERS[letters], int(told.megabytes * 1e6), Path(folder))
                print(json.dumps({"letters": letters, "level": level, **figures}), flush=True)


if __name__ == "__main__":
    main()
