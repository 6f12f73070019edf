"""Turn LLVM's text into callable functions: compile it, or read it from the cache on disk."""

import os
import re
from collections.abc import Iterable
from functools import cache
from threading import RLock

import llvmlite
from llvmlite import binding as llvm

from gatework.errors import KernelError
from gatework.kernels.cpu.cache import key_of, read, write
from gatework.kernels.llvm.target import Target
from gatework.system import substitutes

PASSES = ("sroa", "loop_rotate", "instruction_combine", "simplify_cfg")
"""What is done to the text before code is generated.

The text is written as it is to run: vectors are vectors, loops are unrolled, what does not change stands before its
loop. What is left to do is to bring the variables into registers and to clear up. LLVM's own list for -O2 takes twice
as long, for code of about the same speed.
"""

LEVEL = 2  # the optimisation level of the code generator

LOCK = RLock()
"""Held while anything compiles."""

_EXTERNAL = re.compile(r"^declare .*@(?!llvm\.)([\w.]+)\(", re.MULTILINE)


def compile_text(text: str, target: Target) -> bytes:
    """Compile a module's text to an object file.

    Args:
        text: LLVM's assembly.
        target: The machine that the code is for.

    Returns:
        The bytes of the object.
    """
    return _machine(target).emit_object(_optimised(text, target))


def assembly_of(text: str, target: Target) -> str:
    """Compile a module's text to the assembly of its object file.

    Args:
        text: LLVM's assembly.
        target: The machine that the code is for.

    Returns:
        The machine's own assembly.
    """
    return _machine(target).emit_assembly(_optimised(text, target))


def _optimised(text: str, target: Target) -> llvm.ModuleRef:
    machine = _machine(target)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    passes = llvm.create_new_module_pass_manager()
    for name in PASSES:
        getattr(passes, f"add_{name}_pass")()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(LEVEL)))
    return module


def build(text: str, target: Target) -> "Library":
    """Return the functions of a module's text. They come from the cache on disk, or are compiled and cached.

    Args:
        text: LLVM's assembly.
        target: The machine that the code is for.

    Returns:
        The functions.

    Raises:
        KernelError: If LLVM cannot compile the text, or this system lacks a function that it calls.
    """
    key = object_key(text, target)
    data = read(key)
    try:
        with LOCK:
            if data is None:
                data = compile_text(text, target)
                write(key, data)
            return Library(data, target, _EXTERNAL.findall(text))
    except (RuntimeError, AttributeError) as error:  # llvmlite raises these for LLVM's errors, or lacks a function
        said = " ".join(str(error).split())
        raise KernelError(f"LLVM {_llvm_version()} for {target.cpu} ({target.level}) says: {said}.") from error


def object_key(text: str, target: Target) -> str:
    """Return the key of a module's object in the cache: a hash of everything that determines the object's bytes.

    The text covers the cell, the plan, the type of numbers and the version of this package. The rest is the machine and
    the compiler.
    """
    compiler = (llvmlite.__version__, _llvm_version(), llvm.get_process_triple(), *PASSES, str(LEVEL))
    return key_of(text, target.level, target.cpu, target.features, *compiler)


def _llvm_version() -> str:
    return ".".join(map(str, llvm.llvm_version_info))


@cache
def _machine(target: Target) -> llvm.TargetMachine:
    return _fresh_machine(target)


class Library:
    """The functions of a compiled object, by name. The machine code lives as long as this object.

    Args:
        data: The bytes of an object file for this machine.
        target: The machine that it was made for.
        calls: The outside functions that it calls.

    Raises:
        KernelError: If this system lacks one of the outside functions.
    """

    def __init__(self, data: bytes, target: Target, calls: Iterable[str] = ()) -> None:
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _fresh_machine(target))
        for name, address in substitutes().items():
            llvm.add_symbol(name, address)
        missing = [name for name in calls if llvm.address_of_symbol(name) is None]
        if missing:  # LLVM would end the process
            raise KernelError(f"Kernels call {', '.join(missing)}, which this system's C library does not have.")
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Return the address of a function.

        Raises:
            KernelError: If the object has no such function.
        """
        address = self._engine.get_function_address(name)
        if not address:  # a call would end the process
            raise KernelError(f"The compiled object has no function {name!r}.")
        return address


def _fresh_machine(target: Target) -> llvm.TargetMachine:
    # An engine takes ownership of its target machine.
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=LEVEL, reloc="pic", codemodel="jitdefault", jit=True
    )


if hasattr(os, "register_at_fork"):
    # A fork waits until no thread compiles. Otherwise a child could inherit a lock that is never released.
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
