"""A process that runs trials. It reads each one as a line of JSON, and answers in lines; see :mod:`gatework.runs.pool`.

    → {"config": {"cell": "lstm", …}, "confirm": 2}
    ← {"progress": 100}                       each time it is measured on the validation sequences
    ← {"outcome": {…}}                        at the end, or
    ← {"refused": "there is no …"}            where the settings or the data cannot be used

It ends when standard input does, in the middle of a trial too: so it never outlives whoever started it.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from gatework.errors import GateworkError
from gatework.search.running.trial import Outcome, run_trial
from gatework.training.config import TrainConfig, make_config

# -P: a file of the user's in this folder must not stand in for a module of the same name.
COMMAND = (sys.executable, "-P", "-m", "gatework.search.running.worker")

Run = Callable[[TrainConfig, int, Callable[[int], None]], Outcome]


def serve(trials: IO[str], answers: IO[str], run: Run = run_trial) -> None:
    """Run trials until there are no more to come.

    Args:
        trials: Where trials come from, one a line.
        answers: Where outcomes go.
        run: What runs one.
    """

    def answer(message: Mapping[str, Any]) -> None:
        print(json.dumps(message, allow_nan=False), file=answers, flush=True)

    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Daemonic, so that a trial that fails ends the process although more may come.
    threading.Thread(target=_listen, args=(trials, waiting), daemon=True).start()
    while True:
        message = json.loads(waiting.get())
        try:
            config = make_config(message["config"], files=False)
            outcome = run(config, message["confirm"], lambda step: answer({"progress": step}))
        except GateworkError as error:
            answer({"refused": str(error)})
        else:
            answer({"outcome": outcome.to_json()})


def _listen(trials: IO[str], waiting: "queue.SimpleQueue[str]") -> None:
    for line in trials:
        waiting.put(line)
    # Nobody is left to tell: whatever is being computed is of no use any more, and the process ends in its midst.
    os._exit(0)


def main(run: Run = run_trial) -> None:
    """Serve the process that started this one."""
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers, run)


if __name__ == "__main__":
    main()
