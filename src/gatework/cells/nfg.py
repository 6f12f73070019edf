"""A peephole LSTM that never forgets."""

from gatework.cells.cell import Cell

nfg = Cell(
    name="nfg",
    title="No forget gate",
    states="h c",
    source=(
        "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, LSTM: A search space odyssey, "
        "arXiv:1503.04069, appendix A"
    ),
    year=2015,
    notes=("A variant of the LSTM with peepholes, one thing removed."),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i + p_i * c)  # input gate
        f = 1                                           # forget gate, never forgets
        g = tanh(W_g @ x + R_g @ h + b_g)               # candidate
        c = f * c + i * g                               # cell state
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c)  # output gate
        h = o * tanh(c)                                 # hidden state
    """,
)
