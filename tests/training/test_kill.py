"""A run that is killed for good, by the system, again and again."""

import subprocess
import sys
from pathlib import Path


def test_three_kills_and_the_same_to_the_bit():
    command = [sys.executable, str(Path(__file__).with_name("kills.py")), "--kills", "3", "--steps", "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 kills; the end is the same to the bit\n")
