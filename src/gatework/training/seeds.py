"""Where chance begins: seeds made of numbers, so that no two uses share one."""

from hashlib import sha256


def mixed_seed(*numbers: int) -> int:
    """Make one seed out of several numbers.

    Args:
        numbers: A run's seed first, then what tells its uses apart: process, step …

    Returns:
        A number from 0 to 2**63 - 1; other numbers give another.

    Example:
        >>> mixed_seed(0, 1, 2) == mixed_seed(0, 1, 2), mixed_seed(0, 1, 2) == mixed_seed(0, 2, 1)
        (True, False)
    """
    return int.from_bytes(sha256(" ".join(map(str, numbers)).encode()).digest()[:8], "big") >> 1
