"""The processes: they answer, they are replaced when they die, and none outlives its parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatework.errors import RunError
from gatework.search.running.pool import COMMAND, Pool, count_cores

# A trial that says that it has begun, and would go on for a minute.
SLOW = """
import time
from gatework.search.running.worker import main
def run(told, looks, heard):
    heard(1)
    print("this is no answer")
    time.sleep(60)
main(run)
"""
PARENT = """
import sys, time
from gatework.search.running.pool import Pool
pool = Pool(1, (sys.executable, "-c", sys.argv[1]))
pool.give(0, {"told": {}, "evaluate_every": 1, "confirm": 1})
assert pool.wait(60).message == {"step": 1}
(process,) = pool._busy
print(process._process.pid, flush=True)
time.sleep(60)
"""
ECHO = "import sys\nfor line in sys.stdin: print('{\"outcome\": ' + line.strip() + '}', flush=True)"


def python(program):
    return (sys.executable, "-c", program)


@pytest.fixture
def pool():
    made = []

    def make(size, command):
        made.append(Pool(size, command))
        return made[-1]

    yield make
    for one in made:
        one.close()


def gone(pid):
    """Whether a process has ended; one that nobody has waited for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_answers_bear_the_number_of_their_trial(pool):
    two = pool(2, python(ECHO))
    assert (two.free, two.running) == (2, frozenset())
    two.give(7, {"a": 1})
    two.give(8, {"a": 2})
    assert (two.free, two.running) == (0, {7, 8})
    found = [two.wait(30), two.wait(30)]
    assert {(answer.trial, answer.message["outcome"]["a"]) for answer in found} == {(7, 1), (8, 2)}
    assert two.free == 2
    assert two.wait(0) is None


def test_a_process_is_used_again(pool):
    one = pool(1, python("import os, sys\nfor line in sys.stdin: print('{\"outcome\": %d}' % os.getpid(), flush=True)"))
    seen = set()
    for number in range(3):
        one.give(number, {})
        seen.add(one.wait(30).message["outcome"])
    assert len(seen) == 1


def test_a_process_that_dies_says_how(pool):
    one = pool(1, python("import sys; input(); print('a warning', file=sys.stderr); sys.exit('no more')"))
    one.give(3, {})
    answer = one.wait(30)
    assert (answer.trial, answer.message, answer.died) == (3, None, "exit code 1; a warning; no more")
    assert one.free == 1
    killed = pool(1, python("import os; input(); os.kill(os.getpid(), 9)"))
    killed.give(4, {})
    assert killed.wait(30).died == "signal 9"


def test_half_a_line_is_a_death(pool):
    one = pool(1, python("import os; input(); os.write(1, b'{\"outcome\": '); os._exit(5)"))
    one.give(0, {})
    assert one.wait(30).died == "exit code 5"
    assert one.wait(30) is None  # the end of its output, after the half line
    one.give(1, {})
    assert one.wait(30).trial == 1


def test_a_process_that_dies_idle_is_replaced(pool):
    one = pool(1, python("import os; input(); print('{\"outcome\": 1}', flush=True); os._exit(0)"))
    for number in range(2):
        one.give(number, {})
        assert one.wait(30).trial == number
        assert one.wait(30) is None  # its end
    assert one.free == 1


def test_a_command_that_is_not_there(pool):
    with pytest.raises(RunError, match="a process for a trial could not be started: the system says: No such file"):
        pool(1, ("/nowhere/python",)).give(0, {})


def test_closing_ends_what_is_under_way(pool):
    one = pool(1, python("import time; input(); print('{\"step\": 1}', flush=True); time.sleep(60)"))
    one.give(0, {})
    assert one.wait(30).message == {"step": 1}
    ((process, _),) = one._busy.items()
    one.close()
    assert process._process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_worker_ends_in_the_midst_of_a_trial_when_its_parent_is_killed():
    parent = subprocess.Popen([*python(PARENT), SLOW], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not gone(worker)
    parent.kill()
    parent.communicate()
    for _ in range(100):
        if gone(worker):
            break
        time.sleep(0.1)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker was still there after 10 seconds")


def test_a_real_worker_runs_and_refuses(pool):
    one = pool(1, COMMAND)
    told = {"task": "adding", "gap": 5, "cell": "rnn", "hidden_size": 2, "steps": 2, "learning_rate": 0.01}
    one.give(0, {"told": told, "evaluate_every": 1, "confirm": 1})
    answers = [one.wait(60), one.wait(60), one.wait(60)]
    assert [answer.message for answer in answers][:2] == [{"step": 1}, {"step": 2}]
    assert answers[2].message["outcome"]["steps"] == 2
    one.give(1, {"told": told | {"gap": 2}, "evaluate_every": 1, "confirm": 1})
    assert one.wait(60).message["refused"].startswith("gap is 2: task 'adding' takes 4 and more")
    one.give(2, {"told": told | {"steps": "x"}, "evaluate_every": 1, "confirm": 1})
    assert "steps is 'x'" in json.dumps(one.wait(60).message)


def test_there_are_cores():
    assert count_cores() >= 1
