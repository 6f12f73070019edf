"""The scalar LSTM of xLSTM: exponential gates, a normaliser and a stabiliser."""

from gatework.cells.cell import Cell

slstm = Cell(
    name="slstm",
    title="sLSTM",
    states="h c n m",
    remember={"b_f": +1},
    source="Beck et al. 2024, xLSTM: Extended long short-term memory, arXiv:2405.04517, equations 8 to 17",
    year=2024,
    notes=(
        "The stabiliser m changes no output: c and n are both scaled by exp(-m). The forget gate is the "
        "paper's sigmoid choice; four heads make the recurrent matrices block-diagonal, so hidden_size must "
        "be a multiple of 4 (blocks(cell, n) changes that). Where n is 0 nothing has been written yet: the "
        "stabiliser starts from the input gate alone, as in the authors' code (NX-AI/xlstm), so that n is 1 after the "
        "first step and never less later, however small the gates are. There f multiplies zeros and could overflow, so "
        "its exponent, which is never above 0 later, ends at 10."
    ),
    equations="""
        z_i = W_i @ x + block_diagonal(R_i, 4) @ h + b_i                 # logarithm of the input gate
        log_f = log_sigmoid(W_f @ x + block_diagonal(R_f, 4) @ h + b_f)  # logarithm of the forget gate
        g = tanh(W_g @ x + block_diagonal(R_g, 4) @ h + b_g)             # candidate
        o = sigmoid(W_o @ x + block_diagonal(R_o, 4) @ h + b_o)          # output gate
        m = where(n, maximum(log_f + m, z_i), z_i)                       # stabiliser
        i = exp(z_i - m)                                                 # input gate, stabilised
        f = exp(minimum(log_f + prev(m) - m, 10))                        # forget gate, stabilised
        c = f * c + i * g                                                # cell state
        n = f * n + i                                                    # normaliser
        h = o * (c / n)                                                  # hidden state
    """,
)
