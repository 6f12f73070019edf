"""The LSTM without peepholes, as a variant of the one that has them."""

from gatework.cells.cell import Cell

np = Cell(
    name="np",
    title="No peepholes",
    states="h c",
    init={"b_f": 1.0},
    source=(
        "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, LSTM: A search space odyssey, "
        "arXiv:1503.04069, appendix A"
    ),
    year=2015,
    notes=("The same equations as lstm; listed because the paper compares it as a variant of the LSTM with peepholes."),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i)  # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f)  # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
        o = sigmoid(W_o @ x + R_o @ h + b_o)  # output gate
        c = f * c + i * g                     # cell state
        h = o * tanh(c)                       # hidden state
    """,
)
