"""Processes side by side: they answer, and they are replaced when they die."""

import signal
import sys

import pytest

from gatework.errors import RunError
from gatework.runs.pool import Pool
from gatework.system import count_cores

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


def test_answers_bear_the_number_of_their_work(pool):
    two = pool(2, python(ECHO))
    assert (two.free, two.running) == (2, frozenset())
    two.give(7, {"a": 1})
    two.give(8, {"a": 2})
    assert (two.free, two.running) == (0, {7, 8})
    found = [two.wait(30), two.wait(30)]
    assert {(answer.number, answer.message["outcome"]["a"]) for answer in found} == {(7, 1), (8, 2)}
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
    assert (answer.number, answer.message, answer.died) == (3, None, "exit code 1; a warning; no more")
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
    assert one.wait(30).number == 1


def test_a_process_that_dies_idle_is_replaced(pool):
    one = pool(1, python("import os; input(); print('{\"outcome\": 1}', flush=True); os._exit(0)"))
    for number in range(2):
        one.give(number, {})
        assert one.wait(30).number == number
        assert len(one._idle) == 1
        assert one.wait(30) is None  # its end
        assert one._idle == []
    assert one.free == 1


def test_a_command_that_is_not_there(pool):
    with pytest.raises(RunError, match="A process could not be started: No such file"):
        pool(1, ("/nowhere/python",)).give(0, {})


def test_closing_ends_what_is_under_way(pool):
    one = pool(1, python("import time; input(); print('{\"progress\": 1}', flush=True); time.sleep(60)"))
    one.give(0, {})
    assert one.wait(30).message == {"progress": 1}
    ((process, _),) = one._busy.items()
    one.close()
    assert process._process.returncode == -signal.SIGKILL


def test_there_are_cores():
    assert count_cores() >= 1
