"""The gated recurrent unit as the essays draw it: reset before the product."""

from gatework.cells.cell import Cell

gru_v3 = Cell(
    name="gru_v3",
    title="GRU, reset before the product",
    states="h",
    source=(
        "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078v3, "
        "equations 5 to 8, with the update gate turned as in Olah 2015"
    ),
    year=2014,
    notes=(
        "Here z REPLACES: z = 1 takes the candidate, the opposite of gru. The reset gate acts before the "
        "product with R_n, so a step has two products one after the other."
    ),
    equations="""
        r = sigmoid(W_r @ x + R_r @ h + b_r)     # reset gate
        z = sigmoid(W_z @ x + R_z @ h + b_z)     # update gate: 1 replaces
        n = tanh(W_n @ x + R_n @ (r * h) + b_n)  # candidate
        h = (1 - z) * h + z * n                  # hidden state
    """,
)
