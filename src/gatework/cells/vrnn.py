"""A variational recurrent network: an LSTM that draws latent numbers at every step."""

from gatework.cells.cell import Cell

vrnn = Cell(
    name="vrnn",
    title="Variational RNN",
    inputs="x eps",
    states="h c",
    outputs="mu sd mu0 sd0 d",
    sizes="z=mu0=sd0 v e q u d",
    init={"b_f": 1.0, "b_sd": 0.6, "b_sd0": 0.6},
    source="Chung et al. 2015, A recurrent latent variable model for sequential data, arXiv:1506.02216, section 3",
    year=2015,
    notes=(
        "Prior, posterior and decoder read the h of the step before, not that of this step, as the authors' code does "
        "(jych/nips2015_vrnn). eps is standard normal and drawn outside, so that seeds decide it. d feeds the head, "
        "which says how x is distributed. For new sequences the prior takes the posterior's place: "
        "replace(cell, mu='mu0', sd='sd0'). The biases of the deviations begin at 0.6 as in the code; the forget "
        "gate's bias begins at 1, where the code has 0."
    ),
    equations="""
        v = relu(W_v @ x + b_v)                     # features of x
        e = relu(W_e @ v + R_e @ h + b_e)           # the posterior's layer
        mu = W_mu @ e + b_mu                        # mean of the posterior
        sd = softplus(W_sd @ e + b_sd) + 0.0001     # its standard deviation
        q = relu(R_q @ h + b_q)                     # the prior's layer
        mu0 = W_mu0 @ q + b_mu0                     # mean of the prior
        sd0 = softplus(W_sd0 @ q + b_sd0) + 0.0001  # its standard deviation
        z = mu + sd * eps                           # latent numbers
        u = relu(W_u @ z + b_u)                     # features of z
        d = relu(U_d @ u + R_d @ h + b_d)           # the decoder's layer
        i = sigmoid(W_i @ v + U_i @ u + R_i @ h + b_i)  # input gate
        f = sigmoid(W_f @ v + U_f @ u + R_f @ h + b_f)  # forget gate
        g = tanh(W_g @ v + U_g @ u + R_g @ h + b_g)     # candidate
        o = sigmoid(W_o @ v + U_o @ u + R_o @ h + b_o)  # output gate
        c = f * c + i * g                           # cell state
        h = o * tanh(c)                             # hidden state
    """,
)
