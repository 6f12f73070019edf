"""From LLVM's text to functions that can be called."""

from collections.abc import Mapping
from functools import cache

from llvmlite import binding as llvm

from gatework.kernels.cpu.target import Target


def compile_text(text: str, target: Target) -> bytes:
    """Compile a module's text to an object file.

    Args:
        text: LLVM's assembly.
        target: The machine it is for.

    Returns:
        The bytes of the object.
    """
    machine = _machine(target)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False  # what is to be a vector is written as one
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


@cache
def _machine(target: Target) -> llvm.TargetMachine:
    found = llvm.Target.from_default_triple()
    return found.create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="jitdefault", jit=True
    )


class Library:
    """Functions of a compiled object, by name; the machine code lives as long as this does.

    Args:
        data: The bytes of an object file for this machine.
        target: The machine it was made for.
        symbols: Addresses of functions of other libraries that it calls.
    """

    def __init__(self, data: bytes, target: Target, symbols: Mapping[str, int] | None = None) -> None:
        for name, address in (symbols or {}).items():
            llvm.add_symbol(name, address)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _fresh_machine(target))
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Give the address of a function."""
        return self._engine.get_function_address(name)


def _fresh_machine(target: Target) -> llvm.TargetMachine:
    # An engine takes over the machine it is given.
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="jitdefault", jit=True
    )
