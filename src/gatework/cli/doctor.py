"""``gatework doctor``: look at this machine, and say what would help."""

import os
import platform
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.markup import escape

from gatework import __version__
from gatework.cli.output import Json, out, pairs, print_json, program
from gatework.kernels import BACKENDS
from gatework.system import count_cores, memory, processor_name

# Package -> its purpose.
OPTIONAL_PACKAGES = {
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "running exported models",
    "sphinx": "building the documentation",
}
LITTLE_MEMORY = 2 * 2**30
LITTLE_DISK = 2**30
SHOWN_IN_GIB = 2**28


def doctor(*, json: Json = False) -> None:
    """Look at this machine, and say what would help.

    Args:
        json: Print JSON, for programs.
    """
    report = examine()
    advice = advise(report)
    if json:
        print_json({**report, "advice": advice})
        return
    console = out()
    console.print(pairs({name: _shown(value) for name, value in report.items()}))
    console.print()
    if not advice:
        console.print(f"[green]All is well.[/green] Next: [cyan]{escape(program())} train[/cyan]", soft_wrap=True)
    for sentence in advice:
        console.print(f"[yellow]-[/yellow] {escape(sentence)}")


def examine() -> dict[str, Any]:
    """Collect the facts that matter for training: versions, processor, memory, devices, packages and text.

    Returns:
        Plain values by name; sizes in bytes.
    """
    standard_library = Path(sysconfig.get_path("stdlib"))
    total, free = memory() or (None, None)
    return {
        "gatework": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
        "processor": processor_name(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": count_cores(),
        "threads": torch.get_num_threads(),
        **{name: value for backend in BACKENDS.values() for name, value in backend.describe().items()},
        "memory": total,
        "memory_free": free,
        "disk_free": shutil.disk_usage(Path.cwd()).free,
        "devices": _devices(),
        "optional_packages": {name: _installed(name) for name in OPTIONAL_PACKAGES},
        "default_text": str(standard_library) if any(standard_library.glob("*.py")) else None,
    }


def advise(report: dict[str, Any]) -> list[str]:
    """Suggest improvements, the most important first.

    Args:
        report: The result of :func:`examine`.

    Returns:
        Sentences; empty if there is nothing to improve.
    """
    advice = []
    if report["memory_free"] is not None and report["memory_free"] < LITTLE_MEMORY:
        advice.append(f"Only {_bytes(report['memory_free'])} of memory is free: lower --batch-size or --hidden-size.")
    if report["disk_free"] < LITTLE_DISK:
        advice.append(f"Only {_bytes(report['disk_free'])} is free on this disk: checkpoints may not fit; see --run.")
    if report["threads"] > report["cores"]:
        advice.append(
            f"torch uses {report['threads']} threads on {report['cores']} cores, which is slow: "
            f"export OMP_NUM_THREADS={report['cores']}."
        )
    elif report["threads"] < report["cores"] and "OMP_NUM_THREADS" in os.environ:
        advice.append(
            f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} keeps torch to {report['threads']} of "
            f"{report['cores']} cores: unset it for a single training run."
        )
    if len(report["devices"]) == 1 and shutil.which("nvidia-smi"):
        advice.append("There is an NVIDIA driver, but this torch has no CUDA: install a CUDA build from pytorch.org.")
    advice += [sentence for backend in BACKENDS.values() for sentence in backend.advise(report)]
    if report["default_text"] is None:
        advice.append("This Python ships without its source, so gatework train needs --data FILE or --data FOLDER.")
    missing = [name for name, found in report["optional_packages"].items() if found is None and name.startswith("onnx")]
    if missing:
        advice.append(f"For export, {' and '.join(missing)} are missing: pip install 'gatework[onnx]'.")
    return advice


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {found or '(not installed)'}" for name, found in value.items())
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, int) and value > 2**20:
        return _bytes(value)
    return "unknown" if value is None else str(value) or "none"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= SHOWN_IN_GIB else f"{count / 2**20:.1f} MiB"


def _devices() -> list[str]:
    """Name the devices torch can compute on, the processor first."""
    devices = ["cpu"]
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        devices.append(f"cuda:{index} {device.name} ({_bytes(device.total_memory)})")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return devices


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
