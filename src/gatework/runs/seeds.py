"""Seeds of random generators, made from what each one is for, so that no two uses share a seed."""

from hashlib import sha256


def mixed_seed(*parts: int | str) -> int:
    """Make one seed out of several parts.

    Args:
        parts: A run's seed first, then what tells its uses apart: process, step … Words have no spaces.

    Returns:
        A number from 0 to 2**63 - 1; other parts give another.

    Example:
        >>> mixed_seed(0, 1, 2) == mixed_seed(0, 1, 2), mixed_seed(0, 1, 2) == mixed_seed(0, 2, 1)
        (True, False)
    """
    return int.from_bytes(sha256(" ".join(map(str, parts)).encode()).digest()[:8], "big") >> 1
