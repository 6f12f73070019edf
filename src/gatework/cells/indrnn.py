"""A recurrent network whose units are independent of one another."""

from gatework.cells.cell import Cell

indrnn = Cell(
    name="indrnn",
    title="IndRNN",
    states="h",
    source="Li, Li, Cook, Zhu & Gao 2018, Independently recurrent neural network, arXiv:1803.04831",
    year=2018,
    notes=(
        "Each unit reads only itself, so layers must be stacked for units to meet. The paper keeps |u| below 2**(1/T)."
    ),
    equations="""
        h = relu(W_h @ x + u_h * h + b_h)  # hidden state
    """,
)
