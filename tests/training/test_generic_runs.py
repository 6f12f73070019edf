"""A run on a table of one's own: killed, resumed, and the same to the bit."""

import pytest
from tests.tasks.generic.walks import sign_of_first, sum_so_far, twice_the_first, write_walks

from gatework.training import train
from gatework.training.config import make_config
from gatework.training.progress import Quiet

SMALL = {"hidden_size": 8, "batch_size": 8, "dropout": 0.2, "threads": 1}


class Killed(BaseException):
    """Stands for a SIGKILL."""


class KillAt(Quiet):
    def __init__(self, at):
        self.at = at

    def step(self, step, tokens, loss):
        if step == self.at:
            raise Killed


@pytest.mark.parametrize("task", ["classify", "tag", "regress"])
def test_killed_and_the_same_to_the_bit(same, tmp_path, task):
    answer = {"classify": sign_of_first, "regress": twice_the_first, "tag": sum_so_far}[task]
    data = write_walks(tmp_path / "my.csv", answer)
    told = {"task": task, "data": str(data), "steps": 16, "evaluate_every": 8, "checkpoint_every": 5}
    straight = train(make_config(SMALL | told | {"run": str(tmp_path / "straight")}))
    broken = make_config(SMALL | told | {"run": str(tmp_path / "broken")})
    with pytest.raises(Killed):
        train(broken, KillAt(12))
    result = train(broken)
    assert result.metrics == straight.metrics
    same(straight.run, result.run)
