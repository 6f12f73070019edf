"""A peephole LSTM whose output gate is always open."""

from gatework.cells.cell import Cell

nog = Cell(
    name="nog",
    title="No output gate",
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
        g = tanh(W_g @ x + R_g @ h + b_g)               # candidate
        c = f * c + i * g                               # cell state
        o = 1                                           # output gate, always open
        h = o * tanh(c)                                 # hidden state
    """,
)
