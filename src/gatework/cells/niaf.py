"""A peephole LSTM whose candidate is not squashed."""

from gatework.cells.cell import Cell

niaf = Cell(
    name="niaf",
    title="No input activation function",
    states="h c",
    init={"b_f": 1.0},
    source=(
        "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, LSTM: A search space odyssey, "
        "arXiv:1503.04069, appendix A"
    ),
    year=2015,
    notes=("A variant of the LSTM with peepholes, one thing removed."),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i + p_i * c)  # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f + p_f * c)  # forget gate
        g = W_g @ x + R_g @ h + b_g                     # candidate, not squashed
        c = f * c + i * g                               # cell state
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c)  # output gate
        h = o * tanh(c)                                 # hidden state
    """,
)
