"""The page of the reference tells the truth: what it lists can be imported there, and every public name is listed."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import gatework

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\.\. auto(?:function|class|data|exception):: (\S+)$", PAGE, re.MULTILINE)
MEMBERS = re.findall(r"^\.\. autoclass:: (\S+)\n   :members: (\S.*)$", PAGE, re.MULTILINE)
# No class and no function. The errors have a section, and `gatework draw --help` lists kinds and languages of pictures.
ELSEWHERE = {"__version__", "errors", "KINDS", "LANGUAGES"}
PACKAGES = (
    "gatework.nn",
    "gatework.heads",
    "gatework.decoding",
    "gatework.tracing",
    "gatework.diagram",
    "gatework.training",
    "gatework.search",
)


def find(path):
    """Import what the page lists, from where it lists it."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("path", LISTED)
def test_what_is_listed_can_be_imported_where_the_page_says(path):
    assert find(path) is not None


@pytest.mark.parametrize(("path", "members"), MEMBERS)
def test_members_that_are_listed_are_there(path, members):
    listed = find(path)
    fields = {*dir(listed), *getattr(listed, "__dataclass_fields__", {}), *getattr(listed, "__annotations__", {})}
    assert {member.strip() for member in members.split(",")} <= fields


def test_nothing_is_listed_twice():
    assert len(LISTED) == len(set(LISTED))


@pytest.mark.parametrize("package", ["gatework", *PACKAGES])
def test_every_public_name_is_listed(package):
    listed = {id(find(path)) for path in LISTED}
    module = import_module(package)
    assert [name for name in module.__all__ if name not in ELSEWHERE and id(getattr(module, name)) not in listed] == []


def test_every_error_is_listed():
    known = [name for name, value in vars(gatework.errors).items() if isinstance(value, type)]
    raised = {f"gatework.errors.{name}" for name in known if issubclass(vars(gatework.errors)[name], Exception)}
    assert raised <= set(LISTED)


def test_the_list_of_names_at_the_top_is_complete():
    told = re.search(r"directly under `gatework`:\s(.*?)\.\n\n", PAGE, re.DOTALL)
    assert told is not None
    named = set(re.findall(r"`(\w+)`", told[1]))
    assert named == set(gatework.__all__) - {"__version__"}
