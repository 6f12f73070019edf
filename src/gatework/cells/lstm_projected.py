"""An LSTM with its output projected to another size."""

from gatework.cells.cell import Cell

lstm_projected = Cell(
    name="lstm_projected",
    title="LSTM with projection",
    states="h c",
    init={"b_f": 1.0},
    source=(
        "Sak, Senior & Beaufays 2014, Long short-term memory based recurrent neural network architectures, "
        "arXiv:1402.1128"
    ),
    year=2014,
    notes=(
        "The output has proj_size numbers, the cell state hidden_size; torch.nn.LSTM's proj_size. The paper's "
        "second, non-recurrent projection is left out."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i)  # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f)  # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
        o = sigmoid(W_o @ x + R_o @ h + b_o)  # output gate
        c = f * c + i * g                     # cell state
        h = P @ (o * tanh(c))                 # hidden state
    """,
)
