"""Long short-term memory whose gates see the cell state."""

from gatework.cells.cell import Cell

peephole = Cell(
    name="peephole",
    title="LSTM with peepholes",
    states="h c",
    init={"b_f": 1.0},
    source="Gers & Schmidhuber 2000, Recurrent nets that time and count, IJCNN",
    year=2000,
    notes=(
        "Input and forget gate see c of the last step, the output gate c of this step, so its line stands "
        "below that of c. For a subset of the gates use peephole(CELLS['lstm'], 'io')."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i + p_i * c)  # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f + p_f * c)  # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)               # candidate
        c = f * c + i * g                               # cell state
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c)  # output gate
        h = o * tanh(c)                                 # hidden state
    """,
)
