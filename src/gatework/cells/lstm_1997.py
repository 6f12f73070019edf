"""Long short-term memory as first published, without a forget gate."""

from gatework.cells.cell import Cell

lstm_1997 = Cell(
    name="lstm_1997",
    title="LSTM of 1997",
    states="h c",
    source="Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8), appendix A.1",
    year=1997,
    notes=(
        "There is no forget gate: the self-connection of c is exactly 1, so an unending stream makes c grow "
        "(Gers et al. 2000). The squashing functions are the paper's g = 4 sigmoid - 2 and h = 2 sigmoid - 1, "
        "not tanh. The paper starts the output gates with negative biases."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i)          # input gate
        o = sigmoid(W_o @ x + R_o @ h + b_o)          # output gate
        g = 4 * sigmoid(W_g @ x + R_g @ h + b_g) - 2  # candidate, between -2 and 2
        c = c + i * g                                 # cell state: the constant error carousel
        h = o * (2 * sigmoid(c) - 1)                  # hidden state
    """,
)
