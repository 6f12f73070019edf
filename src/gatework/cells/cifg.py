"""Long short-term memory with input and forget gate coupled."""

from gatework.cells.cell import Cell

cifg = Cell(
    name="cifg",
    title="LSTM with coupled gates",
    states="h c",
    source=(
        "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2015, LSTM: A search space odyssey, "
        "arXiv:1503.04069, appendix A"
    ),
    year=2015,
    notes=(
        "Greff et al. start from the LSTM with peepholes: that is coupled(CELLS['peephole']). This is the one "
        "the essays draw. There is no forget bias; a negative b_i does its work."
    ),
    equations="""
        i = sigmoid(W_i @ x + R_i @ h + b_i)  # input gate
        f = 1 - i                             # forget gate
        g = tanh(W_g @ x + R_g @ h + b_g)     # candidate
        o = sigmoid(W_o @ x + R_o @ h + b_o)  # output gate
        c = f * c + i * g                     # cell state
        h = o * tanh(c)                       # hidden state
    """,
)
