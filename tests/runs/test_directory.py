"""What directories of runs and comparisons share: what stands in them, and lines that a crash has cut."""

import json
import os
from typing import ClassVar

import pytest

from gatework.errors import FileError, RunError
from gatework.runs.directory import Directory, append_line


class Shelf(Directory):
    noun: ClassVar = "shelf"
    denial: ClassVar = "not a shelf"
    called: ClassVar = "shelf directory"
    before_config: ClassVar = frozenset((".lock",))


def parse(line):
    try:
        return json.loads(line)
    except ValueError as error:
        raise FileError("lines", "is not JSON") from error


def test_one_process_writes_and_the_second_is_refused_in_a_sentence(tmp_path):
    shelf = Shelf(tmp_path / "shelf")
    lock = shelf.lock()
    told = rf"Run directory '.*shelf' is being written by another process \(process {os.getpid()}\). Wait for it"
    with pytest.raises(RunError, match=told):
        shelf.lock()
    lock.release()
    shelf.lock().release()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match=r"is not a shelf and not empty \(it holds letter\.txt\). Choose another"):
        Shelf(tmp_path).lock()
    with pytest.raises(RunError, match="is a file; expected the name of a directory for the shelf"):
        Shelf(tmp_path / "letter.txt").lock()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt"]
    (tmp_path / "config.json").write_text("{}")  # then it is one, whatever else lies in it
    Shelf(tmp_path).lock().release()
    with pytest.raises(RunError, match=r"The shelf's file '.*data\.json' cannot be read"):
        Shelf(tmp_path).read_json("data.json")


@pytest.mark.parametrize(
    ("content", "flushed", "expected"),
    [
        (b"1\n2\n", None, [1, 2]),
        (b"1\n2\n{", None, [1, 2]),  # cut in the middle of a line
        (b"1\n2\n\0\0\0", None, [1, 2]),
        (b"1\n2\n3\n", 2, [1, 2]),  # the third was not seen to the disk
        (b"1\n2\n", 0, []),
        (b"1\n{\n3\n", None, "is damaged: line 2 is not JSON"),
        (b"1\n{\n", 2, "is damaged: line 2 is not JSON"),  # it had been seen to the disk
    ],
)
def test_lines_up_to_where_a_crash_has_cut_them(tmp_path, content, flushed, expected):
    path = tmp_path / "lines"
    path.write_bytes(content)
    if isinstance(expected, str):
        with pytest.raises(RunError, match=expected):
            Shelf(tmp_path).read_lines(path, parse, "is not JSON", flushed)
    else:
        assert Shelf(tmp_path).read_lines(path, parse, "is not JSON", flushed) == expected


def test_lines_are_added_at_the_end(tmp_path):
    shelf, path = Shelf(tmp_path), tmp_path / "lines"
    assert shelf.read_lines(path, parse, "is not JSON") == []
    for number in (1, 2):
        append_line(path, b"%d\n" % number, flush=number == 2)
    assert shelf.read_lines(path, parse, "is not JSON") == [1, 2]
