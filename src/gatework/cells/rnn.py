"""A plain recurrent network with tanh."""

from gatework.cells.cell import Cell

rnn = Cell(
    name="rnn",
    title="Elman network",
    states="h",
    source="Elman 1990, Finding structure in time, Cognitive Science 14(2)",
    year=1990,
    notes=("torch.nn.RNN has two biases; the equation has their sum."),
    equations="""
        h = tanh(W_h @ x + R_h @ h + b_h)  # hidden state
    """,
)
