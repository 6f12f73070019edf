"""The process that runs trials: it answers, it refuses, it starts quickly, and it does not outlive its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatework.runs.pool import Pool
from gatework.search.running.worker import COMMAND

# A trial that says that it has begun, and would go on for a minute.
SLOW = """
import time
from gatework.search.running.worker import main
def run(config, confirm, progress):
    progress(1)
    print("this is no answer")
    time.sleep(60)
main(run)
"""
PARENT = """
import sys, time
from gatework.runs.pool import Pool
pool = Pool(1, (sys.executable, "-c", sys.argv[1]))
pool.give(0, {"config": {}, "confirm": 1})
assert pool.wait(60).message == {"progress": 1}
(process,) = pool._busy
print(process._process.pid, flush=True)
time.sleep(60)
"""


def gone(pid):
    """Whether a process has ended; one that nobody has waited for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_it_ends_in_the_midst_of_a_trial_when_its_parent_is_killed():
    command = [sys.executable, "-c", PARENT, SLOW]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not gone(worker)
    parent.kill()
    parent.communicate()
    for _ in range(300):
        if gone(worker):
            break
        time.sleep(0.1)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker was still there after 30 seconds")


def test_it_runs_and_refuses():
    pool = Pool(1, COMMAND)
    config = {"task": "adding", "gap": 5, "cell": "rnn", "hidden_size": 2, "steps": 2, "learning_rate": 0.01}
    config |= {"evaluate_every": 1}

    def answer():
        said = pool.wait(60)
        assert said is not None
        assert said.message is not None, said.died
        return said.message

    try:
        pool.give(0, {"config": config, "confirm": 1})
        assert [answer(), answer()] == [{"progress": 1}, {"progress": 2}]
        assert answer()["outcome"]["steps"] == 2
        pool.give(1, {"config": config | {"gap": 2}, "confirm": 1})
        assert answer()["refused"].startswith("gap is 2: task 'adding' takes 4 and more")
        pool.give(2, {"config": config | {"steps": "x"}, "confirm": 1})
        assert "steps is 'x'" in answer()["refused"]
        pool.give(3, {"config": config | {"cell": "mine.txt"}, "confirm": 1})
        assert answer()["refused"].startswith("cell is 'mine.txt'; expected a cell's name or its equations.")
    finally:
        pool.close()


def test_it_starts_without_what_only_pictures_and_pages_need():
    program = "import sys, gatework.search.running.worker; print(*{n.split('.')[0] for n in sys.modules})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "cyclopts", "rich", "starlette"} & set(result.stdout.split())
