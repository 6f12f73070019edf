"""The machine that code is made for: its vector registers, their width, and the tile that fits them."""

import platform
from dataclasses import dataclass
from functools import cache

from llvmlite import binding as llvm

from gatework.errors import ConfigError

TYPES = {"float32": ("float", 4), "float64": ("double", 8)}


@dataclass(frozen=True)
class Target:
    """A machine, as the code generator sees it.

    Args:
        level: The vector unit, a row of :data:`LEVELS`.
        cpu: The processor, by LLVM's name.
        features: Its features, in LLVM's notation.
        bits: The width of a vector register.
        tile_rows: The most rows in a tile of a product.
        tile_vectors: The vectors side by side in a tile. Rows times vectors accumulators stay in registers.
    """

    level: str
    cpu: str
    features: str
    bits: int
    tile_rows: int
    tile_vectors: int

    def lanes(self, dtype: str) -> int:
        """Count the numbers of a type ("float32", "float64") in a register."""
        return self.bits // (8 * TYPES[dtype][1])


# level: (bits, rows of a tile, vectors of a tile, a required feature, features to switch off if the user forces it)
_LEVELS: dict[str, tuple[int, int, int, str, tuple[str, ...]]] = {
    "avx512": (512, 6, 4, "avx512f", ()),
    "avx2": (256, 6, 2, "fma", ("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd")),
    "sse": (128, 6, 2, "sse2", ("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd", "avx", "avx2", "fma")),
    "neon": (128, 6, 4, "neon", ()),
}
LEVELS = tuple(_LEVELS)


@cache
def host(level: str | None = None) -> Target:
    """Describe this machine.

    Args:
        level: A row of ``LEVELS`` that limits the vector unit; None for the best of the machine.

    Returns:
        The target of the code generator.

    Raises:
        ConfigError: If the machine does not have the level.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = dict(llvm.get_host_cpu_features())
    if platform.machine().lower() in ("arm64", "aarch64"):
        features["neon"] = True
    present = [name for name, (_, _, _, needed, _) in _LEVELS.items() if features.get(needed)]
    chosen = level or (present[0] if present else "")
    if chosen not in present:
        have = ", ".join(present) or "none of them"
        raise ConfigError(f"level={chosen!r}: this machine has {have} of the vector units {', '.join(LEVELS)}.")
    bits, rows, vectors, _, off = _LEVELS[chosen]
    if chosen != present[0]:
        for name in features:
            if name in off or name.startswith("avx512") or (chosen == "sse" and name.startswith("avx")):
                features[name] = False
    flat = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
    return Target(chosen, llvm.get_host_cpu_name(), flat, bits, rows, vectors)
