"""An LSTM whose cell state also takes from the cell state of the layer below."""

from gatework.cells.cell import Cell

depth_gated = Cell(
    name="depth_gated",
    title="Depth-gated LSTM",
    states="h c",
    inputs="x c_below",
    init={"b_f": 1.0},
    remember={"b_f": +1, "b_i": -1},
    source="Yao, Cohn, Vylomova, Duh & Dyer 2015, Depth-Gated LSTM, arXiv:1508.03790",
    year=2015,
    notes=(
        "c_below is this step's cell state of the layer below, which the layers connect by themselves; the "
        "first layer has none, and so no depth gate. The gates have peepholes, as in the paper."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i + p_i * c)        # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f + p_f * c)        # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)                     # candidate
        d = sigmoid(W_d @ x + w_d * c + l_d * c_below + b_d)  # depth gate
        c = d * c_below + f * c + i * g                       # cell state
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c)        # output gate
        h = o * tanh(c)                                       # hidden state
    """,
)
