"""What is given away is whole: the source distribution holds the repository, and a wheel made from it works."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from gatework import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOTICES = ROOT / "src/gatework/explorer/page/assets/notices.txt"
for_an_index = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")["for_an_index"]
# What builds, tests and tools leave behind; none of it may be given away.
LITTER = (
    *("docs/_build/html/index.html", "docs/guide/_functions.md", "web/node_modules/one/index.js", "tests/x.tmp"),
    *("src/gatework/__pycache__/registry.cpython-311.pyc", ".venv/bin/python", "runs/first/config.json"),
)


def tracked() -> list[str]:
    """Name the files of the repository, and those that git would take."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the list of files comes from git, and this is no clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def build(folder: Path, kind: str) -> Path:
    """Build a distribution of a folder, as pip does but without an environment of its own, which needs a network."""
    out = folder.parent / kind
    out.mkdir()
    program = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return out / ran.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A source distribution of the tracked files, with litter beside them."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for name in LITTER:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"litter")
    return build(folder, "sdist")


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    """A wheel, made from the source distribution alone."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return build(folder / f"gatework-{__version__}", "wheel")


def test_the_source_distribution_holds_the_repository(source):
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    made = {name for name in held if name in ("PKG-INFO", "setup.cfg") or name.startswith("src/gatework.egg-info/")}
    assert held - made == set(tracked())
    assert len(held) > 500


def test_the_wheel_holds_the_package_and_its_licences(wheel):
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = archive.read(f"gatework-{__version__}.dist-info/METADATA").decode()
    package = {name.removeprefix("src/") for name in tracked() if name.startswith("src/gatework/")}
    assert {name for name in held if name.startswith("gatework/")} == package
    licences = {name.partition("/licenses/")[2] for name in held if "/licenses/" in name}
    assert licences == {"LICENSE", NOTICES.relative_to(ROOT).as_posix()}
    head, _, description = metadata.partition("\n\n")
    assert f"License-Expression: {PROJECT['license']}" in head
    assert description.startswith("# gatework\n")


def test_the_licence_names_those_of_the_code_in_the_page():
    """Each package in the notices stands on a line of its own: its name, its version and its licence."""
    lines = NOTICES.read_text(encoding="utf-8").split(f"\n{'=' * 80}\n\n")[1:]
    licences = {part.splitlines()[0].rpartition("(")[2].removesuffix(")") for part in lines}
    assert licences
    assert set(PROJECT["license"].split(" AND ")) == {"Apache-2.0"} | licences


def test_a_wheel_installs_into_a_fresh_environment_and_works(wheel, tmp_path):
    """What gatework needs is lent from this environment, so that no network is needed."""
    home = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=120)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    python = programs / ("python.exe" if os.name == "nt" else "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    if subprocess.run([*pip[:3], "--version"], capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("this environment has no pip")
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True, timeout=300)
    (site,) = home.rglob("site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def said(*words: str) -> str:
        ran = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    where = "import gatework, json; print(json.dumps([gatework.__file__, gatework.__version__]))"
    file, version = json.loads(said(str(python), "-c", where))
    assert Path(file).is_relative_to(home)
    assert version == __version__
    assert said(str(programs / "gatework"), "--version").strip() == __version__
    assert "forget gate" in said(str(programs / "gatework"), "show", "lstm")


README = "A [guide](docs/a.md), [a page](https://x.org), [below](#b).\n\n![Loss](docs/a.png)\n\n```sh\n[a](b)\n```\n"


def test_a_package_index_gets_no_link_that_leads_nowhere():
    assert for_an_index(README, "") == "A guide, [a page](https://x.org), [below](#b).\n\n```sh\n[a](b)\n```\n"
    assert for_an_index(README, "https://host.org/gatework/") == README.replace(
        "(docs/a.md)", "(https://host.org/gatework/blob/main/docs/a.md)"
    ).replace("(docs/a.png)", "(https://host.org/gatework/raw/main/docs/a.png)")


def test_the_readme_reads_well_without_links(wheel):
    with ZipFile(wheel) as archive:
        metadata = archive.read(f"gatework-{__version__}.dist-info/METADATA").decode()
    description = metadata.partition("\n\n")[2]
    assert "](docs/" not in description or "Source" in PROJECT.get("urls", {})
    assert "![" not in description or "Source" in PROJECT.get("urls", {})
