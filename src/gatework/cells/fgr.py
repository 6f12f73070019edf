"""A peephole LSTM whose gates also read all gates of the last step."""

from gatework.cells.cell import Cell

fgr = Cell(
    name="fgr",
    title="Full gate recurrence",
    states="h c i f o",
    init={"b_f": 1.0},
    source=(
        "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, LSTM: A search space odyssey, "
        "arXiv:1503.04069, appendix A"
    ),
    year=2015,
    notes=(
        "Every gate reads all three gates of the LAST step, so the gates are states too. Nine further "
        "matrices, as in the LSTM of 1997."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i + p_i * c + R_ii @ i + R_if @ f + R_io @ o)              # input gate
        f = sigmoid(W_f @ x + R_f @ h + b_f + p_f * c + R_fi @ prev(i) + R_ff @ f + R_fo @ o)        # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)                                                            # candidate
        c = f * c + i * g                                                                            # cell state
        o = sigmoid(W_o @ x + R_o @ h + b_o + p_o * c + R_oi @ prev(i) + R_of @ prev(f) + R_oo @ o)  # output gate
        h = o * tanh(c)                                                                              # hidden state
    """,
)
