"""What every test may ask for, and the order in the house while tests run."""

import os
import tempfile
from pathlib import Path

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


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, named by GATEWORK_DATA; tests that need it skip without."""
    folder = os.environ.get("GATEWORK_DATA", "")
    if not folder:
        pytest.skip("GATEWORK_DATA names no folder of real data")
    if not Path(folder).is_dir():
        pytest.fail(f"GATEWORK_DATA={folder} is not a folder")
    return Path(folder)
