"""The minimal gated unit: one gate."""

from gatework.cells.cell import Cell

mgu = Cell(
    name="mgu",
    title="Minimal gated unit",
    states="h",
    source="Zhou, Wu, Zhang & Zhou 2016, Minimal gated unit for recurrent neural networks, arXiv:1603.09420",
    year=2016,
    notes=("The gate is called a forget gate, yet f = 1 replaces the state by the candidate."),
    equations="""
        f = sigmoid(W_f @ x + R_f @ h + b_f)     # the one gate: 1 replaces
        n = tanh(W_n @ x + R_n @ (f * h) + b_n)  # candidate
        h = (1 - f) * h + f * n                  # hidden state
    """,
)
