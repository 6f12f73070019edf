"""A plain recurrent network with rectified units."""

from gatework.cells.cell import Cell

rnn_relu = Cell(
    name="rnn_relu",
    title="Elman network with relu",
    states="h",
    source="Elman 1990 with rectified units, as in Le, Jaitly & Hinton 2015, arXiv:1504.00941",
    year=2015,
    notes=("Nothing bounds the state: with an R whose norm is above 1 it can grow without end."),
    equations="""
        h = relu(W_h @ x + R_h @ h + b_h)  # hidden state
    """,
)
