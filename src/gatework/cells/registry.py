"""The registry: every cell by name. A new cell is one file in this folder, and one import and one entry here.

Cells with latent variables have a table of their own. They read their noise as a second input, so what runs, compares
or draws "every cell" on one sequence of inputs cannot run them; and they are found by their names in the same way.
"""

from gatework.cells.cifg import cifg
from gatework.cells.clockwork import clockwork
from gatework.cells.depth_gated import depth_gated
from gatework.cells.fgr import fgr
from gatework.cells.gru import gru
from gatework.cells.gru_v3 import gru_v3
from gatework.cells.indrnn import indrnn
from gatework.cells.irnn import irnn
from gatework.cells.janet import janet
from gatework.cells.lstm import lstm
from gatework.cells.lstm_1997 import lstm_1997
from gatework.cells.lstm_layer_norm import lstm_layer_norm
from gatework.cells.lstm_multiplicative import lstm_multiplicative
from gatework.cells.lstm_projected import lstm_projected
from gatework.cells.mgu import mgu
from gatework.cells.mut1 import mut1
from gatework.cells.mut2 import mut2
from gatework.cells.mut3 import mut3
from gatework.cells.nfg import nfg
from gatework.cells.niaf import niaf
from gatework.cells.nig import nig
from gatework.cells.noaf import noaf
from gatework.cells.nog import nog
from gatework.cells.np import np
from gatework.cells.peephole import peephole
from gatework.cells.rnn import rnn
from gatework.cells.rnn_relu import rnn_relu
from gatework.cells.slstm import slstm
from gatework.cells.storn import storn
from gatework.cells.vrnn import vrnn
from gatework.errors import CellError
from gatework.registry import Registry

CELLS = Registry(
    rnn, rnn_relu, irnn,
    lstm_1997, lstm, peephole, cifg,
    nig, nfg, nog, niaf, noaf, np, fgr,
    gru, gru_v3, mgu, mut1, mut2, mut3, janet,
    lstm_projected, lstm_layer_norm, lstm_multiplicative, depth_gated, slstm,
    clockwork, indrnn,
    unknown="There is no cell `{name}`.{hint} The cells are: {names}.", hint=" Did you mean `{near}`?",
    error=CellError, kind="cells",
)  # fmt: skip
"""Every cell of the library that reads one sequence of inputs, by name."""

LATENT = Registry(
    storn, vrnn,
    unknown="There is no cell `{name}` with latent variables.{hint} They are: {names}.", hint=" Did you mean `{near}`?",
    error=CellError, kind="cells with latent variables",
)  # fmt: skip
"""Every cell of the library with latent variables, by name; see :mod:`gatework.cells.latent`."""
