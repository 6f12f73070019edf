"""A process that speaks as a worker does and computes nothing, so that tests of what is around it are quick.

What comes of a trial follows from what it is told alone. FAKE in the environment says what goes wrong:

    die:WORDS:FOLDER       dies at a trial that has all of the words (with + between), once for the folder
    always:WORDS           dies at such a trial every time
    refuse:WORDS           refuses it
    slow:SECONDS           takes so long for each
    note:FOLDER            writes each trial it is given into the folder
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path


def share(*parts):
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16) / 2**32


def outcome(told):
    # The LSTM is better than the others, smaller gaps are easier, 0.01 is the best rate.
    skill = {"lstm": 1.1, "gru": 0.9}.get(told["cell"], 0.5) - 0.004 * told["gap"]
    skill -= 0.2 * (told["learning_rate"] != 0.01) + 0.05 * share(told["seed"], told["cell"])
    value = min(1.0, max(0.0, skill))
    solved = value >= 0.99
    metrics = {"loss": round(1 - value, 6), "accuracy": round(value, 6), "solved": round(value, 6)}
    blew_up = told["learning_rate"] > 1
    return {
        "steps": 100 if solved else told["steps"],
        "solved": solved and not blew_up,
        "reached": solved,
        "blew_up": blew_up,
        "valid": metrics,
        "valid_step": 100,
        "test": metrics,
        "seconds": round(time.perf_counter() % 1, 3),
    }


def fits(told, words):
    text = json.dumps(told)
    return all(word in text for word in words.split("+"))


def main():
    kind, _, rest = os.environ.get("FAKE", "").partition(":")
    for line in sys.stdin:
        told = json.loads(line)["config"]
        if kind == "die" and fits(told, rest.rpartition(":")[0]):
            mark = Path(rest.rpartition(":")[2]) / "died"
            if not mark.exists():
                mark.touch()
                sys.exit("out of luck")
        if kind == "always" and fits(told, rest):
            os.kill(os.getpid(), 9)
        if kind == "slow":
            time.sleep(float(rest))
        if kind == "note":
            (Path(rest) / f"{told['cell']}-{told['gap']}-{told['learning_rate']}-{told['seed']}").touch()
        print(json.dumps({"progress": 50}), flush=True)
        if kind == "refuse" and fits(told, rest):
            print(json.dumps({"refused": "no such thing"}), flush=True)
            continue
        print(json.dumps({"outcome": outcome(told)}), flush=True)


if __name__ == "__main__":
    main()
