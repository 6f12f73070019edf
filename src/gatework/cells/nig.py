"""A peephole LSTM whose input gate is always open."""

from gatework.cells.cell import Cell

nig = Cell(
    name="nig",
    title="No input gate",
    states="h c",
    init={"b_f": 1.0},
    source=(
        "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, LSTM: A search space odyssey, "
        "arXiv:1503.04069, appendix A"
    ),
    year=2015,
    notes=("A variant of the LSTM with peepholes, one thing removed."),
    equations="""
        i = 1                                           # input gate, always open
        f = sigmoid(W_f @ x + R_f @ h + b_f + p_f * c)  # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)               # candidate
        c = f * c + i * g                               # cell state
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c)  # output gate
        h = o * tanh(c)                                 # hidden state
    """,
)
