"""A process that runs trials. It reads trials as lines of JSON and answers in lines; see :mod:`gatework.runs.pool`.

    → {"config": {"cell": "lstm", …}, "confirm": 2}
    ← {"progress": 100}                       after each evaluation on the validation sequences
    ← {"outcome": {…}}                        at the end, or
    ← {"refused": "there is no …"}            if the settings or the data cannot be used

The process ends when its standard input ends, even in the middle of a trial, so it never outlives its parent process.
"""

import json
import os
import queue
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any

import torch

from gatework.errors import GateworkError, GateworkWarning
from gatework.runs.pool import Answer, Pool
from gatework.search.running.trial import Outcome, run_trial
from gatework.system import can_fork
from gatework.training.config import TrainConfig, make_config

# -P: a user's file in the current folder must not replace a module of the same name.
COMMAND = (sys.executable, "-P", "-m", "gatework.search.running.worker")

Run = Callable[[TrainConfig, int, Callable[[int], None]], Outcome]


def serve(trials: IO[str], answers: IO[str], run: Run = run_trial) -> None:
    """Run trials as they come, until the process ends.

    Args:
        trials: The stream to read trials from, one per line.
        answers: The stream to write answers to.
        run: The function that runs one trial.
    """

    def answer(message: Mapping[str, Any]) -> None:
        print(json.dumps(message, allow_nan=False), file=answers, flush=True)

    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Daemonic, so that a failing trial ends the process although more trials may come.
    threading.Thread(target=_listen, args=(trials, waiting), daemon=True).start()
    while True:
        answer_one(json.loads(waiting.get()), answer, run)


def answer_one(message: Mapping[str, Any], answer: Callable[[Mapping[str, Any]], None], run: Run) -> None:
    """Run one trial, and answer with its progress and its outcome.

    Args:
        message: The trial.
        answer: The function that takes the answers.
        run: The function that runs the trial.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GateworkWarning)  # the comparison has told them already
            config = make_config(message["config"], files=False)
            outcome = run(config, message["confirm"], lambda step: answer({"progress": step}))
    except GateworkError as error:
        answer({"refused": str(error)})
    else:
        answer({"outcome": outcome.to_json()})


def _listen(trials: IO[str], waiting: "queue.SimpleQueue[str]") -> None:
    for line in trials:
        waiting.put(line)
    # The parent process is gone, so the running trial is of no use any more: end at once.
    os._exit(0)


def main(run: Run = run_trial) -> None:
    """Serve the process that started this one."""
    # Output that libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers, run)


class Here:
    """Run trials in this process, one after the other, with the interface of a pool."""

    size = 1

    def __init__(self) -> None:
        self._answers: deque[Answer] = deque()
        self._number: int | None = None

    @property
    def free(self) -> int:
        """The number of trials that can be taken now."""
        return int(self._number is None)

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the current trials."""
        return frozenset() if self._number is None else frozenset((self._number,))

    def give(self, number: int, message: Mapping[str, Any]) -> None:
        """Run a trial to its end."""
        self._number = number
        threads = torch.get_num_threads()
        try:
            answer_one(message, lambda told: self._answers.append(Answer(number, told)), run_trial)
        finally:
            torch.set_num_threads(threads)

    def wait(self, seconds: float) -> Answer | None:
        """Return the next answer."""
        answer = self._answers.popleft() if self._answers else None
        if answer is not None and answer.message is not None and "progress" not in answer.message:
            self._number = None
        return answer

    def close(self) -> None:
        """Do nothing: nothing runs any more."""


def start_pool(size: int, *, copies: bool) -> Pool | Here:
    """Prepare to run trials.

    Args:
        size: The number of processes.
        copies: Whether trials need objects of this process, such as a task of a person's own, which no other program
            could know. The processes are then copies of this one, or, where the system cannot copy a process, all
            trials run in this one.
    """
    if not copies:
        return Pool(size, COMMAND)
    return Pool(size, serve) if can_fork() else Here()


if __name__ == "__main__":
    main()
