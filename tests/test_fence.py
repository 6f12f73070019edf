"""The fence around kernels: it stops what goes beyond a buffer, on either side, and lets through what does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are guarded by Linux's mprotect")

RUN = """
import sys
import torch
from gatework import Recurrent
from gatework.kernels.cpu import workspace
from tests.fence import Fence, around_kernels

Workspace = workspace.Workspace
{plant}
with around_kernels(sys.argv[1]) as fence:
    layer = Recurrent("lstm", 5, 9, 2, bidirectional=True)
    for options in ({{}}, {{"lengths": [3, 1, 4]}}):
        layer(torch.randn(4, 3, 5), **options)[0].sum().backward()
    stream = Recurrent("gru", 5, 9, 2).stream(3)
    for x in torch.randn(3, 3, 5):
        stream.step(x)
print("done")
"""

ROW_TOO_FEW = """
empty = Workspace.empty
Workspace.empty = lambda work, rows, name: empty(work, rows - 1, name)
"""
ROW_TOO_EARLY = """
given = Workspace.given
def early(work, name, sequence):
    work.table.point(name, sequence, first=1)
    return sequence
Workspace.given = early
"""
NUMBER_TOO_FEW = """
given = Workspace.given
Workspace.given = lambda work, name, sequence: given(work, name, sequence[:-1])
"""
NOT_FENCED = """
from torch import empty
Workspace.empty = lambda work, rows, name: empty(rows, work.sized.width(name), dtype=work.dtype)
"""


def run(plant: str, side: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "GATEWORK_FENCE": ""}
    command = [sys.executable, "-X", "faulthandler", "-c", RUN.format(plant=plant), side]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)


@pytest.mark.parametrize("side", ["behind", "before"])
def test_what_stays_inside_is_let_through(side):
    done = run("", side)
    assert done.stdout.split() == ["done"], done.stderr[-2000:]


@pytest.mark.parametrize(
    ("plant", "side"),
    [(ROW_TOO_FEW, "behind"), (NUMBER_TOO_FEW, "behind"), (ROW_TOO_EARLY, "before")],
    ids=["row written behind", "row read behind", "row read before"],
)
def test_one_row_beyond_ends_the_process(plant, side):
    done = run(plant, side)
    assert done.returncode < 0, done.stdout
    assert "Segmentation fault" in done.stderr


def test_memory_of_another_make_is_refused():
    """What kernels write must be made by what the fence stands for, or it would not be guarded."""
    done = run(NOT_FENCED, "behind")
    assert done.returncode == 1
    assert "is written by a kernel and lies outside of the fence" in done.stderr


def test_an_input_may_have_the_name_of_a_buffer():
    """The copy of an input called `jobs` stays until the backward pass has read it."""
    code = """
import torch
from gatework import Recurrent, cell
from tests.fence import around_kernels

layer = Recurrent(cell("h = V @ jobs", states="h", inputs="jobs"), 1, 1, dtype=torch.float64)
x = torch.arange(6, dtype=torch.float64).reshape(3, 2, 1)
with around_kernels() as fence:
    layer(x)[0].sum().backward()
assert layer.weight_ih_l0.grad.item() == 15, layer.weight_ih_l0.grad
print("done")
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "GATEWORK_FENCE": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert done.stdout == "done\n", done.stderr
