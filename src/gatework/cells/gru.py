"""The gated recurrent unit of torch and cuDNN: reset after the product."""

from gatework.cells.cell import Cell

gru = Cell(
    name="gru",
    title="GRU, reset after the product",
    states="h",
    source=(
        "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078v1; cuDNN "
        "and torch.nn.GRU"
    ),
    year=2014,
    notes=(
        "Here z KEEPS: z = 1 leaves h as it was, the opposite of gru_v3 and of the essay's drawing. The reset "
        "gate acts after the product with R_n, which is why the candidate has a second bias c_n inside."
    ),
    equations="""
        r = sigmoid(W_r @ x + R_r @ h + b_r)           # reset gate
        z = sigmoid(W_z @ x + R_z @ h + b_z)           # update gate: 1 keeps
        n = tanh(W_n @ x + b_n + r * (R_n @ h + c_n))  # candidate
        h = (1 - z) * n + z * h                        # hidden state
    """,
)
