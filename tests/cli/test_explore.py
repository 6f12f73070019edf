"""``gatework explore`` and ``gatework report``, from the outside."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.explorer.unpacking import unpack

from gatework.cli.app import run as call

pytestmark = pytest.mark.usefixtures("interruptible")

SMALL = "--hidden-size 8 --batch-size 4 --window 16 --evaluate-every 5 --checkpoint-every 5 --log-every 5 --steps 5"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "song.txt").write_text("Row, row, row your boat, gently down the stream.\n" * 60, encoding="utf-8")
    words = ["train", "--data", str(folder / "song.txt"), "--run", str(folder / "song"), *SMALL.split()]
    assert call(words) == 0
    return folder / "song"


@contextmanager
def explorer(*words: object):
    """Run the verb as a process of its own; gives it, and what it first says. Ctrl-C ends it."""
    command = [sys.executable, "-m", "gatework", "explore", *map(str, words), "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def get(address: str, opener: urllib.request.OpenerDirector | None = None) -> tuple[int, bytes]:
    try:
        with (opener or urllib.request.build_opener()).open(address, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_explore_serves_until_ctrl_c(trained):
    with explorer(trained) as (process, out):
        told = re.fullmatch(r"The explorer is at (http://127\.0\.0\.1:\d+/)\n", out.readline())
        assert told is not None
        assert out.readline() == "Ctrl-C ends it.\n"
        assert get(told[1])[0] in (200, 503)
        status, about = get(f"{told[1]}api/about")
        assert (status, json.loads(about)["runs"][0]["title"]) == (200, "song")
    assert process.returncode == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="this system ignores no signals")
def test_an_ignored_ctrl_c_stays_ignored(trained):
    """As ``nohup`` and ``&`` ask of every program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with explorer(trained) as (process, out):
        told = re.fullmatch(r"The explorer is at (http://127\.0\.0\.1:\d+/)\n", out.readline())
        assert told is not None
        assert get(told[1])[0] in (200, 503)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert get(told[1])[0] in (200, 503)
        process.terminate()
        process.wait(30)


def test_explore_elsewhere_needs_a_token(trained):
    with explorer(trained, "--host", "0.0.0.0", "--json") as (_, out):
        address = json.loads("".join(out.readline() for _ in range(3)))["address"]
        told = re.fullmatch(r"http://.+:(\d+)/\?token=([\w-]{32})", address)
        assert told is not None
        here = f"http://127.0.0.1:{told[1]}/"
        visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert get(f"{here}api/about", visitor)[0] == 401
        assert get(f"{here}?token={told[2]}x", visitor)[0] == 401
        get(f"{here}?token={told[2]}", visitor)
        assert get(f"{here}api/about", visitor)[0] == 200
        assert get(f"{here}api/about")[0] == 401


def test_nothing_is_served_where_there_is_no_run(gatework, tmp_path, trained):
    for words in (["explore", tmp_path], ["explore", trained, tmp_path], ["report", tmp_path]):
        outcome = gatework(*words)
        assert (outcome.code, outcome.out) == (2, "")
        assert f"'{tmp_path}' is not a run: it holds no config.json" in outcome.err
    assert gatework("explore", tmp_path / "none").code == 2


def test_nothing_is_served_of_a_run_on_a_task(gatework, tmp_path):
    run = tmp_path / "adding"
    small = ["--gap", "10", "--hidden-size", "4", "--steps", "1"]
    assert gatework("train", "--task", "adding", "--run", run, *small).code == 0
    for verb in ("explore", "report"):
        outcome = gatework(verb, run)
        assert (outcome.code, outcome.out) == (2, "")
        assert "was trained on task 'adding'; expected a run on text" in outcome.err


def test_something_must_be_named(gatework):
    assert "Nothing to explore was named. Give a run's directory, or --demo" in gatework("explore").err
    assert "What is the report about? Give a run's directory, or --demo" in gatework("report").err


def test_a_port_that_is_taken(gatework, trained):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = gatework("explore", trained, "--port", taken.getsockname()[1], "--no-open")
    assert outcome.code == 2
    assert "Address already in use. Choose another --port, or 0 for any" in outcome.err
    assert gatework("explore", trained, "--port", 65536).code == 2


def test_without_the_extra_a_sentence_says_what_to_install(trained):
    """As on a machine that has neither starlette nor uvicorn."""
    program = (
        "import sys\n"
        "sys.modules['starlette'] = sys.modules['uvicorn'] = None\n"
        "from gatework.cli.app import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "explore", str(trained)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 2
    told = r"gatework: \w+ is not installed, which this verb needs: pip install 'gatework\[explore\]'\.\n"
    assert re.fullmatch(told, result.stderr)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A built page in small."""
    (tmp_path / "page" / "assets").mkdir(parents=True)
    head = (
        '<script type="module" src="./assets/explorer.js"></script><link rel="stylesheet" href="./assets/explorer.css">'
    )
    (tmp_path / "page" / "index.html").write_text(f"<html><head>{head}</head><body></body></html>")
    for name in ("explorer.js", "explorer.css", "notices.txt"):
        (tmp_path / "page" / "assets" / name).write_text("")
    monkeypatch.setattr("gatework.cli.report.PAGE", tmp_path / "page")


def recorded(path: Path) -> dict:
    match = re.search(r'<script type="[a-z/-]+" id="recorded">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert match is not None
    return unpack(match[1])


def test_report(gatework, trained, tmp_path, page):
    out = tmp_path / "a report.html"
    outcome = gatework("report", trained, "-o", out)
    assert outcome.code == 0, outcome.err
    assert re.fullmatch(rf"{re.escape(str(out))}: \d\.\d MB; any browser opens it\.\n", outcome.out)
    first = recorded(out)["POST /api/traces"]["symbols"]
    gatework("report", trained, "-o", out, "--sample", "s2")
    second = recorded(out)["POST /api/traces"]["symbols"]
    assert first != second
    assert len(second) > 100
    (tmp_path / "text.txt").write_text("Row your boat", encoding="utf-8")
    told = gatework("report", trained, "-o", out, "--text", tmp_path / "text.txt", "--json").json
    assert told == {"report": str(out), "bytes": out.stat().st_size}
    assert "".join(recorded(out)["POST /api/traces"]["symbols"]) == "Row your boat"


def test_report_reads_standard_input(gatework, trained, tmp_path, page, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Row é".encode())))
    assert gatework("report", trained, "-o", tmp_path / "r.html", "--text", "-").code == 0
    assert "".join(recorded(tmp_path / "r.html")["POST /api/traces"]["symbols"]) == "Row é"


def test_reports_that_cannot_be_written(gatework, trained, tmp_path, page):
    for words, told in (
        (["--text", tmp_path / "none.txt"], "none.txt' cannot be read (No such file or directory)"),
        (["--sample", "s99"], "There is no sample 's99'. Expected one of s1, s2"),
        (["--sample", "s1", "--text", "x"], "--text and --sample are two texts. Give one of them."),
        (["--demo"], "What is the report about?"),
        (["-o", tmp_path / "no" / "folder.html"], "could not be written: the system says: No such file or directory"),
    ):
        outcome = gatework("report", trained, *words)
        assert outcome.code == 2, words
        assert told in outcome.err
    (tmp_path / "bytes.txt").write_bytes(b"a\xff")
    assert "byte 0xff at offset 1 does not fit" in gatework("report", trained, "--text", tmp_path / "bytes.txt").err
