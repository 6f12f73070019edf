"""Files that other programs read: how to cite, and how to build a container."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from gatework import __version__

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# From the schema of CFF 1.2.0: what must be there, and what may.
REQUIRED = {"authors", "cff-version", "message", "title"}
ALLOWED = REQUIRED | {
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url"),
    *("preferred-citation", "references", "repository", "repository-artifact", "repository-code", "type", "url"),
    "version",
}


def test_the_citation_is_valid_and_says_what_the_package_says():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited.keys() >= REQUIRED
    assert cited.keys() <= ALLOWED
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] in ("software", "dataset")
    assert all(author.get("name") or author.get("family-names") for author in cited["authors"])
    assert cited["version"] == __version__
    assert cited["license"] in PROJECT["license"].split(" AND ")  # that of the software itself, not of what it bundles
    assert set(cited["keywords"]) <= set(PROJECT["keywords"])
    assert isinstance(cited.get("date-released", date.today()), date)


CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
STEPS = [
    line.partition(" ")[::2]
    for line in re.sub(r"\\\n\s*", "", CONTAINERFILE).splitlines()
    if line and not line.startswith("#")
]


def test_the_container_runs_as_nobody_special():
    last = max(number for number, (word, _) in enumerate(STEPS) if word == "FROM")
    users = [rest for word, rest in STEPS[last:] if word == "USER"]
    assert users == ["reader"]
    entry = next(number for number, (word, _) in enumerate(STEPS) if word == "ENTRYPOINT")
    assert STEPS.index(("USER", "reader")) < entry


def test_the_container_names_its_bases_in_full_and_holds_no_secrets():
    bases = [rest.split()[0] for word, rest in STEPS if word == "FROM"]
    assert bases
    assert all(re.fullmatch(r"docker\.io/library/python:3\.1\d-slim(@sha256:[0-9a-f]{64})?", base) for base in bases)
    assert {word for word, _ in STEPS} <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "ENTRYPOINT", "CMD"}
    assert not re.search(r"password|secret|token=|api[_-]?key|sudo|--trusted-host", CONTAINERFILE, re.IGNORECASE)
    assert all("http://" not in rest for _, rest in STEPS)
    # What is copied is the folder, so what must not come along stands in the list of what is left out.
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".git", ".venv", "runs", "**/.env"} <= set(left_out)


def test_the_container_asks_for_extras_that_there_are():
    (asked,) = re.findall(r'"\.\[([\w,]+)\]"', CONTAINERFILE)
    assert set(asked.split(",")) <= set(PROJECT["optional-dependencies"])
