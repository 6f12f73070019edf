"""Long short-term memory with a forget gate."""

from gatework.cells.cell import Cell

lstm = Cell(
    name="lstm",
    title="LSTM",
    states="h c",
    init={"b_f": 1.0},
    source="Gers, Schmidhuber & Cummins 2000, Learning to forget, Neural Computation 12(10)",
    year=2000,
    notes=(
        "The same numbers as torch.nn.LSTM, whose two biases add up to the one here. The forget bias starts "
        "at 1 (Gers et al. 2000; Jozefowicz et al. 2015); torch.nn.LSTM and gatework.LSTM start it like every "
        "other weight."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i)  # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f)  # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
        o = sigmoid(W_o @ x + R_o @ h + b_o)  # output gate
        c = f * c + i * g                     # cell state
        h = o * tanh(c)                       # hidden state
    """,
)
