"""Kernels for processors and systems that are not this one: they compile, and call nothing that is not there.

They cannot run here. What is judged is the machine code that LLVM makes for the other machine.
"""

import ctypes
import struct
from functools import cache

import pytest
from llvmlite import binding as llvm

from gatework import system
from gatework.cells import CELLS
from gatework.kernels.cpu import build
from gatework.kernels.cpu.kernel import generate
from gatework.kernels.llvm.target import Target, host
from gatework.kernels.planning.recipe import Recipe
from gatework.language import parse

CELLS_HERE = ("lstm", "slstm", "lstm_layer_norm")
FEATURES = "+avx,+avx2,+fma,+sse2"
HASWELL = Target("avx2", "haswell", FEATURES, 256, 6, 2)
ARM = Target("neon", "generic", "+neon", 128, 6, 4)
# llvmlite asks for ELF in the JIT of Windows, as it does for Numba.
WINDOWS = "x86_64-pc-windows-msvc-elf"


@cache
def texts(target: Target) -> list[str]:
    """The kernels of some cells, forward and backward, and with layers that are wide enough for large frames."""
    recipes = [Recipe(CELLS[name].step, drawn=False) for name in CELLS_HERE]
    plans = [plan for recipe in recipes for plan in (recipe.inference, recipe.training, recipe.backward)]
    return [generate(plan, target, dtype).text for plan in plans for dtype in ("float32", "float64")]


def compiled(text: str, target: Target, triple: str) -> bytes:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="jitdefault", jit=True
    )
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = triple, str(machine.target_data)
    module.verify()
    return machine.emit_object(module)


def called(data: bytes) -> set[str]:
    """Name the functions that an ELF object calls and does not have."""
    assert data[:5] == b"\x7fELF\x02"
    (start,), (count,) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<H", data, 60)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, start + 64 * number) for number in range(count)]
    found = set()
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind == 2:  # the table of symbols
            for place in range(offset, offset + size, 24):
                name, _, _, section = struct.unpack_from("<IBBH", data, place)
                if name and not section:
                    begin = sections[link][4] + name
                    found.add(data[begin : data.index(b"\0", begin)].decode())
    return found - {"_GLOBAL_OFFSET_TABLE_"}


def test_kernels_for_windows_call_only_what_is_brought_along():
    calls = {name for text in texts(HASWELL) for name in called(compiled(text, HASWELL, WINDOWS))}
    assert "sched_yield" in calls  # Windows has no function of this name
    assert calls <= {"sched_yield", "__chkstk", "memset", "memcpy"}


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "arm64-apple-macosx"])
def test_kernels_for_arm_compile(triple):
    objects = [compiled(text, ARM, triple) for text in texts(ARM)]
    assert len(objects) == len(texts(ARM))
    if "linux" in triple:
        assert {name for data in objects for name in called(data)} <= {"sched_yield", "memset", "memcpy"}


def test_a_function_that_the_c_library_lacks_is_given_another(monkeypatch):
    asked = []
    function = ctypes.CFUNCTYPE(ctypes.c_int32)(lambda: asked.append(1) or 7)
    address = ctypes.cast(function, ctypes.c_void_p).value
    monkeypatch.setattr(build, "substitutes", lambda: {"only_elsewhere": address})
    text = "declare i32 @only_elsewhere()\ndefine i32 @f() {\n  %a = call i32 @only_elsewhere()\n  ret i32 %a\n}\n"
    library = build.build(text, host())
    assert ctypes.CFUNCTYPE(ctypes.c_int32)(library.address("f"))() == 7
    assert asked == [1]


def test_windows_yields_by_a_name_of_its_own(monkeypatch):
    assert system.substitutes() == {}
    functions = {name: ctypes.CFUNCTYPE(ctypes.c_int32)(lambda: 0) for name in ("SwitchToThread", "__chkstk")}

    class Library:
        def __getattr__(self, name):
            return functions[name]

    class Windows:
        kernel32, ntdll = Library(), Library()

    monkeypatch.setattr(ctypes, "windll", Windows(), raising=False)
    told = system.substitutes()
    assert told.keys() == {"sched_yield", "__chkstk"}
    assert told["sched_yield"] == ctypes.cast(functions["SwitchToThread"], ctypes.c_void_p).value


def test_recipes_are_those_of_layers():
    """Or the tests above would judge the kernels of nothing."""
    recipe = Recipe(parse("h = 0.5 * h + x"), False)
    assert recipe.inference is not None
    assert len(texts(HASWELL)) == 6 * len(CELLS_HERE)
