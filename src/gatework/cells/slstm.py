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
        "be a multiple of 4 (blocks(cell, n) changes that). Before the first step n is 0, so an input gate whose "
        "logarithm there is below about -105 underflows and gives 0 / 0; in float16 below about -18."
    ),
    equations="""
        z_i = W_i @ x + block_diagonal(R_i, 4) @ h + b_i                 # logarithm of the input gate
        log_f = log_sigmoid(W_f @ x + block_diagonal(R_f, 4) @ h + b_f)  # logarithm of the forget gate
        g = tanh(W_g @ x + block_diagonal(R_g, 4) @ h + b_g)             # candidate
        o = sigmoid(W_o @ x + block_diagonal(R_o, 4) @ h + b_o)          # output gate
        m = maximum(log_f + m, z_i)                                      # stabiliser
        i = exp(z_i - m)                                                 # input gate, stabilised
        f = exp(log_f + prev(m) - m)                                     # forget gate, stabilised
        c = f * c + i * g                                                # cell state
        n = f * n + i                                                    # normaliser
        h = o * (c / n)                                                  # hidden state
    """,
)
