"""A rectified recurrent network that starts as the identity."""

from gatework.cells.cell import Cell

irnn = Cell(
    name="irnn",
    title="IRNN",
    states="h",
    init={"R_h": "identity", "b_h": "zeros"},
    source=(
        "Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified linear units, "
        "arXiv:1504.00941"
    ),
    year=2015,
    notes=(
        "The equation is rnn_relu; what makes it an IRNN are the initial values: R the identity, the bias 0. "
        "The paper draws W from a Gaussian of deviation 0.001; here W follows the layer's init."
    ),
    equations="""
        h = relu(W_h @ x + R_h @ h + b_h)  # hidden state
    """,
)
