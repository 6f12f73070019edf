"""``gatework cells`` and ``gatework show``."""

import pytest

from gatework.cells import CELLS, LATENT
from gatework.cli.parameters import fitting_sizes, parameter_table
from gatework.language import latex_adjoint, parse


def test_cells_lists_every_cell_with_its_size(gatework):
    outcome = gatework("cells")
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    assert {*CELLS, *LATENT} <= set(rows)
    # 4 * s * (s + d) + 4 * s for s = 128 and d = 64.
    assert rows["lstm"].split()[-4:] == ["2000", "h", "c", "98,816"]
    assert "* mut1, mut2: with 128 inputs, since x stands elementwise in the equations." in outcome.out
    assert "* lstm_projected: with an output of 64 units." in outcome.out


def test_cells_with_other_sizes(gatework):
    listed = {row["name"]: row for row in gatework("cells", "--input-size", 3, "--hidden-size", 5, "--json").json}
    assert list(listed) == [*CELLS, *LATENT]
    assert listed["storn"]["inputs"] == ["x", "before", "eps"]
    assert listed["lstm"]["parameters"] == 4 * 5 * (5 + 3) + 4 * 5
    assert listed["rnn"] == {
        "name": "rnn",
        "title": CELLS["rnn"].title,
        "year": 1990,
        "states": ["h"],
        "inputs": ["x"],
        "parameters": 5 * 3 + 5 * 5 + 5,
        "input_size": 3,
        "hidden_size": 5,
        "proj_size": None,
        "source": CELLS["rnn"].source,
    }
    # Blocks do not divide 5 units.
    assert listed["clockwork"]["parameters"] is None
    text = gatework("cells", "--hidden-size", 5).out
    assert "This hidden size does not fit the cell; gatework show CELL --hidden-size N says why." in text


def test_show_prints_equations_comments_parameters_and_source(gatework):
    text = gatework("show", "lstm").out
    for line in str(CELLS["lstm"]).splitlines():
        assert f"  {line}\n" in text
    assert CELLS["lstm"].source in text
    assert "W_i 128×64   R_i 128×128   b_i 128" in text
    assert "98,816" in text
    assert "Begins with b_f = 1.0." in text


@pytest.mark.parametrize("name", CELLS)
def test_show_json_is_whole(gatework, name):
    shown = gatework("show", name, "--hidden-size", 64, "--json").json
    sizes = fitting_sizes(CELLS[name], 64, 64)
    assert shown["count"] == CELLS[name].count(**sizes)
    assert {row["name"]: tuple(row["shape"]) for row in shown["parameters"]} == CELLS[name].parameters(**sizes)
    # The printed equations read back as the same cell.
    assert parse(shown["equations"], shown["states"], shown["inputs"]) == CELLS[name].step
    targets = [equation.target for equation in CELLS[name].step.equations]
    assert all(row["equation"] in targets for row in shown["parameters"])


def test_show_latex_and_adjoint(gatework):
    assert gatework("show", "gru", "--latex").out == f"{CELLS['gru'].latex()}\n"
    adjoint = gatework("show", "rnn", "--adjoint").out
    assert adjoint.startswith("d_h = grad_h + back_h\n")
    assert gatework("show", "rnn", "--json").json["adjoint"] == adjoint.rstrip("\n")
    assert gatework("show", "rnn", "--latex", "--adjoint").out == f"{latex_adjoint(CELLS['rnn'].step)}\n"


def test_show_with_sizes_of_ones_own(gatework):
    shown = gatework("show", "lstm_projected", "--input-size", 3, "--hidden-size", 8, "--proj-size", 2, "--json").json
    assert {row["name"]: row["shape"] for row in shown["parameters"]}["P"] == [2, 8]


def test_wrong_input_size_is_explained(gatework):
    outcome = gatework("show", "mut2", "--input-size", 3)
    assert outcome.code == 2
    assert outcome.err == (
        "gatework: The input `x` has size 3; the cell `mut2` uses it elementwise, so it must have the size 128 of the "
        "states. Choose equal sizes, or put a projection before the layer (input_projection=True).\n"
    )


def test_parameters_read_twice_belong_to_their_first_equation():
    # lstm_multiplicative's R_m stands in m's line only, the gates read m.
    table = parameter_table(CELLS["lstm_multiplicative"], 3, 5)
    assert [row["equation"] for row in table if row["name"] in ("W_m", "R_m")] == ["m", "m"]


def test_show_reads_a_file_of_equations(gatework, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\ufeffh = tanh(W @ x + R @ h + b)  # Zustand größer\n", encoding="utf-8")
    outcome = gatework("show", path)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("mine\n\n  h = tanh(W @ x + R @ h + b)  # Zustand größer\n")


def test_show_reads_a_file_with_a_header(gatework, tmp_path):
    path = tmp_path / "latent.txt"
    lines = ("mu = W @ x + R_mu @ h", "mu0 = R_0 @ h", "z = mu + v * eps", "h = tanh(U @ z + R @ h)")
    path.write_text("\n".join(["inputs: x eps v", "outputs: mu0", "sizes: z=mu0", "source: Chung 2015", *lines]))
    shown = gatework("show", path).out
    assert shown.startswith("latent\nChung 2015\n\n  mu = W @ x + R_mu @ h\n")
    assert "It also delivers mu0 at every step.\nSizes of their own, here that of the state: z = mu0." in shown
    told = gatework("show", path, "--input-size", 3, "--hidden-size", 8, "--json").json
    assert (told["inputs"], told["outputs"], told["sizes"]) == (["x", "eps", "v"], ["mu0"], ["z=mu0"])
    assert {row["name"]: row["shape"] for row in told["parameters"]}["W"] == [8, 3]


def test_show_gives_each_input_a_size(gatework, tmp_path):
    """The inputs need not be called x, and those that the states do not decide get a size each."""
    path = tmp_path / "two.txt"
    path.write_text("inputs: a b c\nh = tanh(W @ a + V @ b + c + R @ h)")
    shapes = {
        row["name"]: row["shape"] for row in gatework("show", path, "--input-size", 3, "--json").json["parameters"]
    }
    assert (shapes["W"], shapes["V"]) == ([128, 3], [128, 3])
    path.write_text("output: h\nh = tanh(W @ x + R @ h)")
    outcome = gatework("show", path)
    assert (outcome.code, outcome.err.splitlines()[0][:47]) == (2, "gatework: `output:` is no line of a header; the")


def test_a_file_of_equations_may_have_any_ending(gatework, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.eq").write_text("h = tanh(W @ x + R @ h)")
    assert gatework("show", "mine.eq", "--json").json["name"] == "mine"
    assert "cell file 'other.eq'" in gatework("show", "other.eq").err.lower()


def test_a_cell_without_parameters(gatework, tmp_path):
    path = tmp_path / "sum.txt"
    path.write_text("h = h + x")
    assert "It learns nothing: there are no parameters." in gatework("show", path).out


HINT = "Expected a file of equations such as h = tanh(W @ x + R @ h + b)."
BAD_FILES = {
    "empty": (b"", f"Cell file '{{path}}' is empty. {HINT}"),
    "blank": (b" \n\t\n", f"Cell file '{{path}}' is empty. {HINT}"),
    "binary": (
        b"h = \xff\xfe\x00",
        f"Cell file '{{path}}' is not utf-8 text: byte 0xff at offset 4 does not fit. {HINT}",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_cell_files(gatework, tmp_path, content, message):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    outcome = gatework("show", path)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"gatework: {message.format(path=path)}\n"


def test_missing_cell_file_and_folder(gatework, tmp_path):
    path = tmp_path / "none.txt"
    assert gatework("show", path).err == (
        f"gatework: Cell file '{path}' cannot be read (No such file or directory). {HINT}\n"
    )
    path.mkdir()
    assert gatework("show", path).err == f"gatework: Cell file '{path}' cannot be read (Is a directory). {HINT}\n"


def test_syntax_error_in_a_cell_file_shows_line_and_caret(gatework, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("f = sigmoid(W @ x)\nh = f * h + (1 - f) * tanj(R @ x)\n")
    outcome = gatework("show", path)
    assert outcome.code == 2
    assert outcome.err == (
        "gatework: There is no function `tanj`. Did you mean `tanh`?\n"
        "  line 2: h = f * h + (1 - f) * tanj(R @ x)\n"
        "                                ^\n"
    )


def test_hostile_file_ends_in_an_error(gatework, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("h = " + "(" * 5000 + "h" + ")" * 5000)
    outcome = gatework("show", path)
    assert outcome.code == 2
    assert len(outcome.err) < 500


def test_a_comment_in_a_file_steers_no_terminal(gatework, tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("h = tanh(W @ x + R @ h)  # \x1b[2J\x9b31m\u202e", encoding="utf-8")
    for arguments in ((), ("--latex",), ("--plan",), ("--adjoint",), ("--json",)):
        shown = gatework("show", file, *arguments).out
        assert not set(shown) & set("\x1b\x9b\u202e")
    assert r"\x1b[2J\x9b31m\u202e" in gatework("show", file).out


def test_show_a_cell_with_a_memory(gatework, tmp_path):
    path = tmp_path / "attended.txt"
    path.write_text(
        "inputs: x pick\nmemories: m=k=pick\n"
        "a = softmax(m @ (U @ h) + log(pick))\nz = a @ k\nh = tanh(W @ x + R @ h + C @ z)"
    )
    text = gatework("show", path, "--memory-size", 32, "--hidden-size", 128).out
    assert "U 32×128" in text
    assert "C 128×32" in text
    assert (
        "It reads the memory m, given once for all steps, and k at the positions of m. The input pick has a number for "
        "each of its positions." in text
    )
    shown = gatework("show", path, "--json").json
    assert shown["memories"] == ["m=k=pick"]
    assert parse(shown["equations"], shown["states"], shown["inputs"], memories=shown["memories"]).banks == ("m", "k")
    assert "softmax" in gatework("show", path, "--latex").out
    assert "d_m = " in gatework("show", path, "--adjoint").out
    path.write_text("memories: m\na = softmax(m @ (U @ h))\nh = tanh(W @ x + R @ h + C @ (a @ m))")
    plan = gatework("show", path, "--plan").out
    assert "  match      " in plan
    assert "  softmax    a = softmax(" in plan
    assert "  gather     " in plan
    assert "define " in gatework("show", path, "--kernel").out
