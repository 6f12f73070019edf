"""What the Makefile installs: the held versions fit pyproject.toml, and the lowest ones are read from it."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from requirements.lowest import lowest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "requirements").glob("*.txt"))


def test_the_held_versions_are_those_that_pyproject_allows():
    """Torch is installed apart, since the build that fits is the machine's choice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    held = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements" / "python.txt").read_text(), re.MULTILINE))
    wanted = [Requirement(one) for group in groups for one in group]
    assert "torch" not in held
    assert [str(one) for one in wanted if one.name != "torch" and held.get(one.name, "none") not in one.specifier] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_held_has_a_hash_and_names_no_place(path):
    text = path.read_text(encoding="utf-8")
    packages = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    assert packages
    for package in packages:
        name, *hashes = package.split(" \\\n    ")
        assert re.fullmatch(r"[\w-]+==[\w.]+( ; .+)?", name)
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one.strip()) for one in hashes), name


@pytest.mark.parametrize(
    ("requirement", "version"),
    [("torch>=2.13", "torch==2.13"), ("ruff~=0.17.5", "ruff==0.17.5"), ("my-st_parser>=4.0", "my-st_parser==4.0")],
)
def test_the_lowest_version(requirement, version):
    assert lowest(requirement) == version


@pytest.mark.parametrize("requirement", ["torch", "torch<3", "torch>=2,<3", "torch>=2; python_version<'3.12'"])
def test_what_has_no_lowest_version(requirement):
    with pytest.raises(SystemExit) as refusal:
        lowest(requirement)
    assert str(refusal.value) == (
        f"pyproject.toml: '{requirement}' is given, expected a name and its lowest version: name>=1.2"
    )
