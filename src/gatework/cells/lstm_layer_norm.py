"""An LSTM with layer norm on its products and its cell state."""

from gatework.cells.cell import Cell

lstm_layer_norm = Cell(
    name="lstm_layer_norm",
    title="LSTM with layer norm",
    states="h c",
    init={
        "b_f": 1.0,
        "a_W_i": 1.0,
        "a_R_i": 1.0,
        "a_W_f": 1.0,
        "a_R_f": 1.0,
        "a_W_g": 1.0,
        "a_R_g": 1.0,
        "a_W_o": 1.0,
        "a_R_o": 1.0,
        "a_c": 1.0,
        "s_c": 0.0,
    },
    source="Ba, Kiros & Hinton 2016, Layer normalization, arXiv:1607.06450, equations 20 to 22",
    year=2016,
    notes=(
        "Means and variances are taken over the units of one gate; the paper takes them over all four gates "
        "of a product together."
    ),
    equations="""
        i = sigmoid(a_W_i * norm(W_i @ x) + a_R_i * norm(R_i @ h) + b_i)  # input gate
        f = sigmoid(a_W_f * norm(W_f @ x) + a_R_f * norm(R_f @ h) + b_f)  # forget gate
        g = tanh(a_W_g * norm(W_g @ x) + a_R_g * norm(R_g @ h) + b_g)     # candidate
        o = sigmoid(a_W_o * norm(W_o @ x) + a_R_o * norm(R_o @ h) + b_o)  # output gate
        c = f * c + i * g                                                 # cell state
        h = o * tanh(a_c * norm(c) + s_c)                                 # hidden state
    """,
)
