"""The second mutant found by searching ten thousand architectures."""

from gatework.cells.cell import Cell

mut2 = Cell(
    name="mut2",
    title="MUT2",
    states="h",
    source=(
        "Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures, "
        "ICML, section 4"
    ),
    year=2015,
    notes=(
        "The input enters the reset gate elementwise, so input_size must equal hidden_size; "
        "input_projection=True of the layers puts a learned map before it."
    ),
    equations="""
        z = sigmoid(W_z @ x + R_z @ h + b_z)     # update gate: 1 replaces
        r = sigmoid(x + R_r @ h + b_r)           # reset gate
        n = tanh(R_h @ (r * h) + W_h @ x + b_h)  # candidate
        h = n * z + h * (1 - z)                  # hidden state
    """,
)
