"""A stochastic recurrent network: one LSTM recognises latent numbers, and another one generates with them."""

from gatework.cells.cell import Cell

storn = Cell(
    name="storn",
    title="Stochastic recurrent network",
    inputs="x before eps",
    states="h c r s",
    outputs="mu sd mu0 sd0",
    sizes="z=mu0=sd0 r",
    init={"b_f": 1.0, "b_rf": 1.0, "b_sd": 1.0},
    source="Bayer & Osendorfer 2014, Learning stochastic recurrent networks, arXiv:1411.7610, section 3",
    year=2014,
    notes=(
        "Two networks in one step: r recognises z in x, and h generates x from z and the step before, which is the "
        "input `before`. They are LSTMs here, where the paper has units of one function. The prior has no memory: "
        "0 * eps gives its mean 0 the size of z. The deviation is the absolute value of a number: the paper squares "
        "one to get the variance; 0.0001 keeps it above 0, and its bias begins at 1, so that the posterior begins near "
        "the prior."
    ),
    equations="""
        ri = sigmoid(W_ri @ x + R_ri @ r + b_ri)  # the recognising network: input gate
        rf = sigmoid(W_rf @ x + R_rf @ r + b_rf)  # its forget gate
        rg = tanh(W_rg @ x + R_rg @ r + b_rg)     # its candidate
        ro = sigmoid(W_ro @ x + R_ro @ r + b_ro)  # its output gate
        s = rf * s + ri * rg                      # its cell state
        r = ro * tanh(s)                          # its hidden state
        mu = W_mu @ r + b_mu                      # mean of the posterior
        sd = abs(W_sd @ r + b_sd) + 0.0001        # its standard deviation
        mu0 = 0 * eps                             # mean of the prior
        sd0 = 1 + mu0                             # its standard deviation
        z = mu + sd * eps                         # latent numbers
        i = sigmoid(W_i @ before + U_i @ z + R_i @ h + b_i)  # the generating network: input gate
        f = sigmoid(W_f @ before + U_f @ z + R_f @ h + b_f)  # its forget gate
        g = tanh(W_g @ before + U_g @ z + R_g @ h + b_g)     # its candidate
        o = sigmoid(W_o @ before + U_o @ z + R_o @ h + b_o)  # its output gate
        c = f * c + i * g                         # its cell state
        h = o * tanh(c)                           # its hidden state
    """,
)
