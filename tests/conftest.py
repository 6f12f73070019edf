"""What every test may ask for, and the order in the house while tests run."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The tensors of tests are so small that waiting for a second thread takes most of the time, and workers that run side
# by side would fight over the cores. This must stand before torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Compiled kernels of tests go into a folder of their own, which the workers of one run share.
os.environ.setdefault("GATEWORK_CACHE", tempfile.mkdtemp(prefix="gatework-cache-"))

# The same examples on every machine, and no test judged by how fast the machine was.
settings.register_profile("gatework", deadline=None, derandomize=True, database=None, print_blob=False)
settings.load_profile("gatework")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--skipped FILE``: once what the machine lacked is there, ``pytest @FILE`` runs what had been skipped."""
    parser.addoption("--skipped", metavar="FILE", help="write the names of the tests that skip into FILE")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write the names, one a line: workers have no terminal, so this is called once."""
    if path := config.getoption("--skipped"):
        names = {report.nodeid for report in terminalreporter.getreports("skipped")}
        Path(path).write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt this process and those it starts, even where it is ignored: ``make test &``, ``nohup``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# What cannot be judged between guard pages, and why.
UNFENCED = {
    "test_nothing_is_written_beside_a_tensor": "it puts marks of its own around tensors",
    "test_forward_is_an_operator_as_torch_wants_it": "it runs the operator in modes of torch's that make its memory",
    "test_a_million_steps_take_no_memory": "each step's input is copied into the fence",
    "test_compiled_layers": "inductor's own code reads beyond a tensor, and drops what it read",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, with the fence, what cannot be judged there."""
    if not os.environ.get("GATEWORK_FENCE"):
        return
    for item in items:
        reason = UNFENCED.get(getattr(item, "originalname", ""))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=f"GATEWORK_FENCE: {reason}"))


@pytest.fixture(scope="session", autouse=True)
def fenced() -> Iterator[None]:
    """With GATEWORK_FENCE=behind or before, every buffer of every kernel lies between guard pages; see `make fence`."""
    side = os.environ.get("GATEWORK_FENCE", "")
    if not side:
        yield
        return
    from tests.fence import around_kernels  # it imports torch, which must find the environment as it is set above

    with around_kernels(side):
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, named by GATEWORK_DATA; tests that need it skip without."""
    folder = os.environ.get("GATEWORK_DATA", "")
    if not folder:
        pytest.skip("GATEWORK_DATA names no folder of real data")
    if not Path(folder).is_dir():
        pytest.fail(f"GATEWORK_DATA={folder} is not a folder")
    return Path(folder)
