"""Kill a training run again and again at random moments, and compare its end with that of a run left in peace.

python tests/training/kills.py --kills 20
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WORDS = "the gate opens and closes while a cell keeps what it has to keep"
PROGRAM = "import json, sys; from gatework.training import make_config, make_reporter, train; \
train(make_config(json.loads(sys.argv[1])), make_reporter('json', sys.stdout))"


def start(settings):
    command = [sys.executable, "-c", PROGRAM, json.dumps(settings)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def contents(run):
    """Everything in a run directory but what a clock has written."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = path.relative_to(run).as_posix()
        if name == "metrics.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [{k: v for k, v in x.items() if k not in ("seconds", "tokens_per_second")} for x in lines]
        elif name.endswith("training.json"):
            found[name] = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("seconds", "checksum")}
        elif name not in ("config.json", "loss.png", ".lock"):
            found[name] = path.read_bytes()
    return found


def steps_of(run):
    """The steps of the checkpoints there are at this moment."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def kill_often(folder, kills, seed, settings):
    """Train once in peace and once with kills; returns a line per kill, and what differs in the end."""
    chance = random.Random(seed)
    peace, killed = folder / "peace", folder / "killed"
    began = time.monotonic()
    process = start(settings | {"run": str(peace)})
    process.communicate()
    assert process.returncode == 0
    alone = time.monotonic() - began
    times = [json.loads(line)["seconds"] for line in (peace / "metrics.jsonl").read_text().splitlines()]
    pace = (times[-1] - times[0]) / kills
    told = [f"in peace: {alone:.1f} s"]
    done = 0
    while done < kills:
        process = start(settings | {"run": str(killed)})
        began = time.monotonic()
        if done % 5 == 4:
            where = "while starting"
            time.sleep(chance.uniform(0, alone - times[-1]))
        else:
            where = "while training"
            assert process.stdout is not None
            process.stdout.readline()  # the first line of this start: from here on it trains
            time.sleep(chance.uniform(0, 1.2 * pace))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            told.append("the run was finished before it could be killed: give it more steps")
            break
        done += 1
        told.append(f"kill {done:>2} {where} after {time.monotonic() - began:.2f} s; checkpoints {steps_of(killed)}")
    process = start(settings | {"run": str(killed)})
    process.communicate()
    assert process.returncode == 0
    one, other = contents(peace), contents(killed)
    differing = [name for name in {*one, *other} if one.get(name) != other.get(name)]
    return told, done, differing


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    text = folder / "text.txt"
    words = random.Random(1).choices(WORDS.split(), k=5000)
    text.write_text(" ".join(word + "\n" * (len(word) == 3) for word in words))
    settings = {"data": str(text), "hidden_size": 32, "num_layers": 2, "dropout": 0.2, "batch_size": 8, "window": 32}
    settings |= {"steps": options.steps, "checkpoint_every": 7, "evaluate_every": 50, "log_every": 3, "threads": 1}
    try:
        told, done, differing = kill_often(folder, options.kills, options.seed, settings)
    finally:
        shutil.rmtree(folder)
    print(*told, sep="\n")
    print(f"{done} kills; " + (f"DIFFERENT: {', '.join(differing)}" if differing else "the end is the same to the bit"))
    return 1 if differing or done < options.kills else 0


if __name__ == "__main__":
    sys.exit(main())
