"""Compiled kernels: what LLVM makes of a text, the cache on disk, and what happens where compiling fails."""

import ctypes
import dataclasses
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from llvmlite import binding as llvm

import gatework
from gatework.cells import CELLS
from gatework.errors import ConfigError, KernelError
from gatework.kernels.cpu import build, cache, fused, kernel
from gatework.kernels.cpu.build import Library, compile_text, object_key
from gatework.kernels.cpu.kernel import kernel_for
from gatework.kernels.llvm.target import Target, host
from gatework.kernels.planning import spec
from gatework.kernels.planning.recipe import Recipe
from gatework.language import parse

ANSWER = "define i32 @answer() {\n  ret i32 42\n}\n"
OTHER = "define i32 @answer() {\n  ret i32 43\n}\n"
KEY = cache.key_of("a text")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own, with one kernel in it."""
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path / "cache"))
    assert cache.write(KEY, b"machine code")
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def compiled(monkeypatch) -> list[str]:
    """The texts that were compiled, rather than found."""
    texts = []

    def watched(text, target):
        texts.append(text)
        return compile_text(text, target)

    monkeypatch.setattr(build, "compile_text", watched)
    return texts


def answer(text: str) -> int:
    library = build.build(text, host())
    return ctypes.CFUNCTYPE(ctypes.c_int32)(library.address("answer"))()


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# --- what is kept


def test_what_is_written_is_read(folder):
    assert cache.read(KEY) == b"machine code"
    assert cache.read(cache.key_of("another text")) is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(the_file(folder).stat().st_mode) == 0o600
    assert cache.look() == cache.CacheFolder(folder, "", 1, the_file(folder).stat().st_size)


def test_a_text_is_compiled_once(folder, compiled):
    assert [answer(ANSWER), answer(ANSWER), answer(OTHER)] == [42, 42, 43]
    assert compiled == [ANSWER, OTHER]


def test_a_key_tells_everything_apart(monkeypatch):
    target = host()
    keys = [object_key(ANSWER, target), object_key(OTHER, target)]
    for other in (
        dataclasses.replace(target, level="other"),
        dataclasses.replace(target, cpu="other"),
        dataclasses.replace(target, features="other"),
    ):
        keys.append(object_key(ANSWER, other))
    monkeypatch.setattr(build.llvmlite, "__version__", "0.0")
    keys.append(object_key(ANSWER, target))
    monkeypatch.setattr(build.llvm, "llvm_version_info", (1, 2, 3))
    keys.append(object_key(ANSWER, target))
    monkeypatch.setattr(build, "PASSES", ("sroa",))
    keys.append(object_key(ANSWER, target))
    monkeypatch.setattr(build, "LEVEL", 3)
    keys.append(object_key(ANSWER, target))
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    keys.append(object_key(ANSWER, target))
    assert len(set(keys)) == len(keys)
    assert cache.key_of("ab", "c") != cache.key_of("a", "bc")


def test_processes_write_the_same_text_for_a_cell():
    script = (
        "from gatework.cells import CELLS\nfrom gatework.kernels.cpu.build import object_key\n"
        "from gatework.kernels.cpu.kernel import generate\nfrom gatework.kernels.llvm.target import host\n"
        "from gatework.kernels.planning.recipe import Recipe\n"
        "for name in ('lstm', 'gru', 'lstm_layer_norm'):\n"
        "    recipe = Recipe(CELLS[name].step, False)\n"
        "    for plan in (recipe.inference, recipe.training, recipe.backward, recipe.replay):\n"
        "        print(object_key(generate(plan, host(), 'float32').text, host()))\n"
    )
    # The order of a set depends on the seed of hashes.
    found = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(set(found[0].split())) == 12


# --- what is not trusted


@pytest.mark.parametrize("place", [0, 8, 12, 44, 52, 84, -1])
def test_a_flipped_bit_is_noticed(folder, place):
    path = the_file(folder)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert cache.read(KEY) is None
    assert cache.write(KEY, b"machine code")
    assert cache.read(KEY) == b"machine code"


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: data[:50], bytes.upper]
)
def test_another_length_or_content_is_noticed(folder, change):
    path = the_file(folder)
    path.write_bytes(change(path.read_bytes()))
    assert cache.read(KEY) is None


def test_an_empty_file_is_no_kernel(folder):
    the_file(folder).write_bytes(b"")
    assert cache.read(KEY) is None


def test_a_kernel_under_anothers_name_is_not_loaded(folder, compiled):
    assert answer(ANSWER) == 42
    kept = folder / f"{object_key(ANSWER, host())}.kernel"
    kept.rename(folder / f"{object_key(OTHER, host())}.kernel")
    assert answer(OTHER) == 43
    assert compiled == [ANSWER, OTHER]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_not_read(folder, mode):
    the_file(folder).chmod(mode)
    assert cache.read(KEY) is None


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_folder_that_others_can_write_is_not_used(folder, mode):
    folder.chmod(mode)
    assert cache.read(KEY) is None
    assert not cache.write(KEY, b"more")
    reason = f"'{folder}' can be written by others than this user: chmod 700 it, or remove it."
    assert cache.look() == cache.CacheFolder(folder, reason)


def test_what_belongs_to_another_user_is_not_read(folder, monkeypatch):
    other = os.geteuid() + 1
    monkeypatch.setattr("os.geteuid", lambda: other)
    assert cache.read(KEY) is None
    assert not cache.write(KEY, b"more")


def test_a_link_is_not_followed(folder, tmp_path):
    path = the_file(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.read(KEY) is None
    assert cache.write(KEY, b"anew")
    assert not path.is_symlink()
    assert cache.read(KEY) == b"anew"


def test_a_folder_that_is_a_link_is_not_used(folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert cache.read(KEY) is None
    assert cache.look().trouble


def test_a_pipe_keeps_nobody_waiting(folder):
    path = the_file(folder)
    path.unlink()
    os.mkfifo(path)
    assert cache.read(KEY) is None


# --- where it is, and how large


def test_an_empty_variable_keeps_nothing_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWORK_CACHE", "")
    monkeypatch.chdir(tmp_path)
    assert cache.folder() is None
    assert not cache.write(KEY, b"machine code")
    assert cache.look() == cache.CacheFolder(None, "GATEWORK_CACHE is empty")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", ["~nobody-of-this-name/cache", "~nobody-of-this-name"])
def test_a_variable_that_names_no_folder_warns_and_keeps_nothing_on_disk(tmp_path, monkeypatch, named):
    monkeypatch.setenv("GATEWORK_CACHE", named)
    monkeypatch.chdir(tmp_path)
    assert cache.folder() is None
    with pytest.warns(
        RuntimeWarning, match=f"^GATEWORK_CACHE is '{named}', which is no folder: compiled kernels are not"
    ):
        assert cache.read(KEY) is None
    with pytest.warns(RuntimeWarning, match="which is no folder"):
        assert not cache.write(KEY, b"machine code")
    assert cache.look() == cache.CacheFolder(None, f"GATEWORK_CACHE is '{named}', which is no folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_keeps_nothing_on_disk(tmp_path, monkeypatch):
    """A relative name has no meaning where the folder one is in has been removed."""
    monkeypatch.setenv("GATEWORK_CACHE", "cache")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cache.folder() is None
    with pytest.warns(RuntimeWarning, match="which is no folder"):
        assert cache.read(KEY) is None


def test_the_folder_is_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("GATEWORK_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache.folder() == tmp_path / "own" / "gatework" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder() == tmp_path / ".cache" / "gatework" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == tmp_path / ".cache" / "gatework" / "kernels"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache.folder() == tmp_path / "Library" / "Caches" / "gatework" / "kernels"


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path, monkeypatch, compiled):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path / "file"))
    assert [answer(ANSWER), answer(ANSWER)] == [42, 42]
    assert compiled == [ANSWER, ANSWER]
    assert cache.look().trouble == f"'{tmp_path / 'file' / 'kernels'}': Not a directory"


def test_a_write_that_fails_leaves_nothing(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert not cache.write(cache.key_of("another text"), b"machine code")
    assert [path.name for path in folder.iterdir()] == [f"{KEY}.kernel"]


def test_the_oldest_make_room(folder, monkeypatch):
    size = the_file(folder).stat().st_size
    monkeypatch.setattr(cache, "MOST", 3 * size)
    (folder / "notes.txt").write_text("not the cache's own" * 100)
    keys = [KEY, *(f"{number:064x}" for number in range(4))]
    for number, key in enumerate(keys):
        assert cache.write(key, b"machine code")
        os.utime(folder / f"{key}.kernel", (number, number))
    assert [cache.read(key) is not None for key in keys] == [False, False, True, True, True]
    assert (folder / "notes.txt").exists()


def test_few_writes_look_at_all_files(folder, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 0)
    assert cache.write("1" * 64, b"machine code")
    assert len(list(folder.iterdir())) == 2
    assert cache.write("0" * 64, b"machine code")
    assert list(folder.iterdir()) == []


def test_what_was_never_finished_is_removed_in_time(folder):
    old, new = folder / "a.unfinished", folder / "b.unfinished"
    for path in (old, new):
        path.write_bytes(b"half a ker")
    os.utime(old, (0, 0))
    assert cache.write("0" * 64, b"machine code")
    assert not old.exists()
    assert new.exists()


def test_processes_at_once_never_read_a_part(folder):
    script = (
        "import sys\nfrom gatework.kernels.cpu import cache\nkey = cache.key_of('a text')\n"
        "bodies = {bytes([number]) * 100_000 for number in range(8)} | {b'machine code'}\n"
        "for number in range(100):\n"
        "    assert cache.write(key, bytes([number % 8]) * 100_000)\n"
        "    assert cache.read(key) in bodies\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert [path.suffix for path in folder.iterdir()] == [".kernel"]


# --- failure


def test_a_text_that_llvm_refuses():
    with pytest.raises(KernelError, match=r"LLVM [\d.]+ for .* says: .*expected"):
        build.build("define nonsense", host())


def test_a_function_that_is_nowhere():
    text = (
        "declare void @no_such_function(i64)\ndefine void @f() {\n  call void @no_such_function(i64 1)\n  ret void\n}\n"
    )
    with pytest.raises(KernelError, match="Kernels call no_such_function, which this system's C library does not have"):
        build.build(text, host())
    with pytest.raises(KernelError, match="The compiled object has no function 'question'"):
        Library(compile_text(ANSWER, host()), host()).address("question")


def test_a_failure_is_tried_once_and_told_each_time(monkeypatch):
    plan, calls = Recipe(parse("h = 0.5 * h + x"), False).inference, []

    def broken(text, target):
        calls.append(text)
        raise KernelError("LLVM says: no.")

    monkeypatch.setattr(kernel, "build", broken)
    for _ in range(2):
        with pytest.raises(KernelError) as told:
            kernel_for(plan, "float32")
        assert str(told.value) == (
            "The kernel (float32) of the equations for h could not be compiled. LLVM says: no. Choose "
            "backend='reference', which needs no kernels; 'gatework doctor' shows what kernels find here."
        )
    assert len(calls) == 1


def test_a_machine_without_a_known_vector_unit(monkeypatch):
    def bare():
        raise ConfigError("this machine has none of them.")

    monkeypatch.setattr(kernel, "host", bare)
    with pytest.raises(KernelError, match=r"could not be compiled\. this machine has none of them"):
        kernel_for(Recipe(parse("h = 0.25 * h + x"), False).inference, "float32")


@pytest.mark.parametrize(
    ("keep", "plans"),
    [
        ("nothing", ["inference"]),
        ("fast", ["training", "backward"]),
        *((keep, ["inference", "backward", "replay"]) for keep in ("small", "sqrt")),
    ],
)
def test_ready_compiles_the_way_back_too(monkeypatch, keep, plans):
    step, asked = CELLS["rnn"].step, []
    recipe = fused.read_spec(fused.write_spec(step, False, False, keep, (), ())).recipe
    monkeypatch.setattr(fused, "kernel_for", lambda plan, dtype: asked.append((plan, dtype)))
    fused.ready(step, False, (), torch.float64, keep)
    assert asked == [(getattr(recipe, name), "float64") for name in plans]


def test_ready_tells_what_failed(monkeypatch):
    def broken(plan, dtype):
        raise KernelError("not this one")

    monkeypatch.setattr(fused, "kernel_for", broken)
    with pytest.raises(KernelError, match="not this one"):
        fused.ready(CELLS["rnn"].step, False, (), torch.float32, "fast")


# --- the passes


def llvms_own(text: str, target: Target) -> bytes:
    """Compile with LLVM's own list of passes for -O2."""
    machine = build._fresh_machine(target)
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


@pytest.mark.parametrize("name", ["lstm", "gru_v3", "slstm"])
def test_our_few_passes_compute_what_llvms_many_do(monkeypatch, name):
    monkeypatch.setenv("GATEWORK_CACHE", "")
    torch.manual_seed(0)
    layer = gatework.Recurrent(name, input_size=5, hidden_size=20)
    given = torch.randn(7, 3, 5)

    def results() -> list[torch.Tensor]:
        monkeypatch.setattr(kernel, "_KERNELS", {})
        spec.read_spec.cache_clear()  # a run's spec knows its kernels
        layer.zero_grad()
        output, _ = layer(given)
        output.square().sum().backward()
        return [output, *(one.grad for one in layer.parameters() if one.grad is not None)]

    ours, compiled = results(), []

    def theirs(text, target):
        compiled.append(text)
        return llvms_own(text, target)

    monkeypatch.setattr(build, "compile_text", theirs)
    assert all(map(torch.equal, ours, results()))
    assert len(ours) == 1 + len(list(layer.parameters()))
    assert len(compiled) == 2
