"""The first mutant found by searching ten thousand architectures."""

from gatework.cells.cell import Cell

mut1 = Cell(
    name="mut1",
    title="MUT1",
    states="h",
    source=(
        "Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures, "
        "ICML, section 4"
    ),
    year=2015,
    notes=(
        "The input enters the candidate elementwise, so input_size must equal hidden_size; "
        "input_projection=True of the layers puts a learned map before it. The update gate does not see h."
    ),
    equations="""
        z = sigmoid(W_z @ x + b_z)               # update gate: 1 replaces
        r = sigmoid(W_r @ x + R_r @ h + b_r)     # reset gate
        n = tanh(R_h @ (r * h) + tanh(x) + b_h)  # candidate
        h = n * z + h * (1 - z)                  # hidden state
    """,
)
