"""Every claim by id, in the order of the page. A new claim is one file and one line here."""

from evidence.claim import Claim
from evidence.claims import (
    agreement,
    continual,
    copying,
    coupled,
    default,
    forget_bias,
    hand_set,
    long_gap,
    named,
    peepholes,
    prediction,
    short_gap,
    units,
    vanishing,
    variants,
)

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        vanishing.CLAIM,
        short_gap.CLAIM,
        long_gap.CLAIM,
        *named.CLAIMS,
        copying.CLAIM,
        hand_set.CLAIM,
        default.CLAIM,
        continual.CLAIM,
        peepholes.CLAIM,
        coupled.CLAIM,
        variants.CLAIM,
        forget_bias.CLAIM,
        prediction.CLAIM,
        units.CLAIM,
        agreement.CLAIM,
    )
}
