"""The machine that is measured: what it says of itself, and how many multiply-adds it can do in a second."""

import ctypes
import math
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cpu.bystanders import Bystanders

try:
    from llvmlite import binding as llvm
except ImportError as error:  # then there is no peak to hold anything against, and the report says so
    llvm, MISSING = None, str(error)
else:
    MISSING = ""

# More chains than a multiply-add takes cycles times the units that do it, and with the two factors still in registers
# where there are 32; where there are 16, fewer.
_WIDTHS = {"avx512f": (16, 24), "avx": (8, 12), "sse2": (4, 12), "neon": (4, 24)}  # feature: lanes, chains
PACKAGES = ("torch", "gatework", "llvmlite", "numpy", "jax", "torchrecurrent", "onnxruntime")
_FACTORS = (0.5, 0.25)
_LOOP = 20_000_000


class Peak:
    """A loop of independent vector multiply-adds that touches no memory; no kernel can be faster.

    Args:
        threads: How many threads run it at once.

    Raises:
        RuntimeError: Where the loop cannot be made, or computes wrong numbers.
    """

    def __init__(self, threads: int) -> None:
        if llvm is None:
            raise RuntimeError(f"the peak needs llvmlite: {MISSING}")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        held = {name for name, on in features.items() if on} | ({"neon"} if _is_arm() else set())
        self.lanes, self.chains = next(row for feature, row in _WIDTHS.items() if feature in held)
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
        )
        # The engine owns the code, so it has to live as long as the function.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_source(self.lanes, self.chains)), target)
        self._engine.finalize_object()
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)  # lets go of the interpreter while it runs
        self._loop = kind(self._engine.get_function_address("multiply_adds"))
        self._pool = ThreadPoolExecutor(threads)
        self.threads = threads
        if not np.array_equal(self._chains_after(100), np.full((self.chains, self.lanes), 100 * math.prod(_FACTORS))):
            raise RuntimeError("the loop of the peak computes wrong numbers")

    def flops(self, rounds: int) -> float:
        """Count the operations of :meth:`run`."""
        return 2.0 * rounds * self.chains * self.lanes * self.threads

    def run(self, rounds: int) -> None:
        """Go round the loop on all threads at once."""
        list(self._pool.map(self._chains_after, [rounds] * self.threads))

    def _chains_after(self, rounds: int) -> np.ndarray:
        memory = np.zeros((self.chains + len(_FACTORS), self.lanes), np.float32)
        memory[self.chains :] = np.array(_FACTORS)[:, None]
        self._loop(rounds, memory.ctypes.data)
        return memory[: self.chains]


def _is_arm() -> bool:
    return platform.machine().lower() in ("arm64", "aarch64")


def _source(lanes: int, chains: int) -> str:
    """Write the loop: chains and factors are read from memory before it, the chains written back after it."""
    vector, places = f"<{lanes} x float>", range(chains + len(_FACTORS))
    address = [f"  %p{k} = getelementptr {vector}, ptr %memory, i64 {k}" for k in places]
    load = [f"  %v{k} = load {vector}, ptr %p{k}, align 4" for k in places]
    carry = [f"  %c{k} = phi {vector} [ %v{k}, %entry ], [ %n{k}, %loop ]" for k in range(chains)]
    factors = f"{vector} %v{chains}, {vector} %v{chains + 1}"
    fma = [f"  %n{k} = call {vector} @llvm.fma.v{lanes}f32({factors}, {vector} %c{k})" for k in range(chains)]
    store = [f"  store {vector} %n{k}, ptr %p{k}, align 4" for k in range(chains)]
    lines = [
        f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})",
        # Some processors would otherwise be given two half registers for one whole.
        f'define void @multiply_adds(i64 %rounds, ptr %memory) "min-legal-vector-width"="{32 * lanes}" {{',
        *("entry:", *address, *load, "  br label %loop"),
        *("loop:", "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]", *carry, *fma),
        *("  %next = add i64 %i, 1", "  %more = icmp ult i64 %next, %rounds", "  br i1 %more, label %loop, label %end"),
        *("end:", *store, "  ret void", "}"),
    ]
    return "\n".join(lines)


def measure_peak(threads: int, quick: bool) -> dict[str, float | str | None]:
    """Measure the peak on one thread and on all.

    Args:
        threads: How many threads are all.
        quick: Whether to be content with a short look.

    Returns:
        GFLOP/s by the number of threads, the best of several runs each, and the share of the processors that others had
        meanwhile; or why there is none.
    """
    if llvm is None:
        return {"not installed": MISSING}
    found: dict[str, float | str | None] = {}
    bystanders = Bystanders()
    for count in dict.fromkeys((1, threads)):
        peak, rounds = Peak(count), _LOOP // 20 if quick else _LOOP
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            peak.run(rounds)
            seconds.append(time.perf_counter() - start)
        found[str(count)] = peak.flops(rounds) / min(seconds) / 1e9
    return found | {"others_had": bystanders.share()}


def describe(threads: int) -> dict[str, Any]:
    """Collect what a figure depends on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        # Above the number of threads in use, others were at work at the same time.
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def processors(threads: int) -> list[int]:
    """Choose the processors to run on, on different cores as far as there are.

    Args:
        threads: How many.

    Returns:
        Their numbers, as the system counts them.
    """
    allowed = sorted(os.sched_getaffinity(0))
    cores: dict[str, int] = {}  # the processors that share a core -> the first of them
    for number in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text(encoding="ascii") if siblings.exists() else str(number), number)
    chosen = list(cores.values())
    return (chosen + [number for number in allowed if number not in chosen])[:threads]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Name the processor as the system does; Linux keeps the name where platform does not look."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
