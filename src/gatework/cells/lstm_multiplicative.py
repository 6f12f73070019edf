"""An LSTM whose recurrent matrix depends on the input."""

from gatework.cells.cell import Cell

lstm_multiplicative = Cell(
    name="lstm_multiplicative",
    title="Multiplicative LSTM",
    states="h c",
    init={"b_f": 1.0},
    source="Krause, Lu, Murray & Renals 2016, Multiplicative LSTM for sequence modelling, arXiv:1609.07959",
    year=2016,
    notes=("m takes the place of h in all four lines. A step has two products one after the other."),
    equations="""
        m = (W_m @ x) * (R_m @ h)             # the input chooses how h is seen
        i = sigmoid(W_i @ x + R_i @ m + b_i)  # input gate
        f = sigmoid(W_f @ x + R_f @ m + b_f)  # forget gate
        g = tanh(W_g @ x + R_g @ m + b_g)     # candidate
        o = sigmoid(W_o @ x + R_o @ m + b_o)  # output gate
        c = f * c + i * g                     # cell state
        h = o * tanh(c)                       # hidden state
    """,
)
