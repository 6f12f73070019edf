"""Just another network: an LSTM reduced to its forget gate."""

from gatework.cells.cell import Cell

janet = Cell(
    name="janet",
    title="JANET",
    states="h c",
    source="van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate, arXiv:1804.04849",
    year=2018,
    notes=(
        "What is written is gated by 1 - sigmoid(s - beta) with beta = 1, a little more than what was "
        "forgotten. The paper uses chrono initial values: init='chrono'."
    ),
    equations="""
        s = W_f @ x + R_f @ h + b_f           # pre-activation of the forget gate
        f = sigmoid(s)                        # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
        c = f * c + (1 - sigmoid(s - 1)) * g  # cell state
        h = c                                 # hidden state
    """,
)
