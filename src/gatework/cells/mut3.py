"""The third mutant found by searching ten thousand architectures."""

from gatework.cells.cell import Cell

mut3 = Cell(
    name="mut3",
    title="MUT3",
    states="h",
    source=(
        "Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures, "
        "ICML, section 4"
    ),
    year=2015,
    notes=("The update gate sees tanh(h), not h."),
    equations="""
        z = sigmoid(W_z @ x + R_z @ tanh(h) + b_z)  # update gate: 1 replaces
        r = sigmoid(W_r @ x + R_r @ h + b_r)        # reset gate
        n = tanh(R_h @ (r * h) + W_h @ x + b_h)     # candidate
        h = n * z + h * (1 - z)                     # hidden state
    """,
)
