"""A recurrent network whose modules run at different clock rates."""

from gatework.cells.cell import Cell

clockwork = Cell(
    name="clockwork",
    title="Clockwork RNN",
    states="h t",
    source="Koutnik, Greff, Gomez & Schmidhuber 2014, A Clockwork RNN, arXiv:1402.3511",
    year=2014,
    notes=(
        "Module k of 8 has the period 2**k and reads modules of equal or longer period only. The step counter "
        "is a state, so that a sequence can be split anywhere; it starts at 0, where every module is due. "
        "hidden_size must be a multiple of 8; blocks(CELLS['clockwork'], 4) changes that."
    ),
    equations="""
        due = divides(period(8), t)                        # 1 for the modules whose turn it is
        n = tanh(W_h @ x + block_upper(R_h, 8) @ h + b_h)  # candidate
        h = where(due, n, h)                               # hidden state: the other modules wait
        t = mod(t + 1, 256)                                # step counter
    """,
)
