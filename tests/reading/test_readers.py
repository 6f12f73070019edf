"""The readers of files: what they give, what they refuse and in which words, and how far they go."""

import gzip
import io
import json
import os
import socket
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from gatework.errors import FileError
from gatework.reading.arrays import parse_npz, unpack_idx
from gatework.reading.files import decode, read_beginning, read_file, read_text
from gatework.reading.nested import DEPTH, parse_json, parse_object, read_object, read_toml
from gatework.reading.packed import unpack_gzip, unpack_tar
from gatework.reading.sound import parse_wav
from gatework.reading.tables import parse_csv
from gatework.reading.tensors import parse_safetensors, read_safetensors

# --- bytes


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()


def nothing(path):
    pass


def named_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (pipe, "'{path}' is a pipe. Expected a regular file."),
        (device, "'{path}' is a device. Expected a regular file."),
        (folder, "'{path}' cannot be read (Is a directory)."),
        (nothing, "'{path}' cannot be read (No such file or directory)."),
        (named_socket, "'{path}' cannot be read (No such device or address)."),
    ],
)
@pytest.mark.parametrize("read", [lambda path: read_file(path, 9), lambda path: read_beginning(path, 9)])
def test_only_regular_files_are_read(tmp_path, monkeypatch, make, sentence, read):
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    path = tmp_path / "file"
    make(path if make is not named_socket else path.relative_to(tmp_path))
    with pytest.raises(FileError) as refusal:
        read(path)
    assert str(refusal.value) == sentence.format(path=path)


@pytest.mark.parametrize("name", ["a\0b", "half \ud800", "x" * 5000])
def test_names_that_no_file_has(name):
    with pytest.raises(FileError, match="cannot be read"):
        read_file(name, 9)


def test_no_file_is_read_beyond_its_bound(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(9))
    assert read_file(path, 9) == bytes(9)
    with pytest.raises(FileError) as refusal:
        read_file(path, 8)
    assert str(refusal.value) == f"'{path}' is larger than 8 bytes, which is the most that is read of such a file."
    with path.open("wb") as file:
        file.truncate(1 << 40)  # of holes
    with pytest.raises(FileError, match="is larger than"):
        read_file(path, 1 << 30)
    # What the system makes up while it is read says that it is empty.
    assert read_file("/proc/self/status", 1 << 20).startswith(b"Name:")
    with pytest.raises(FileError, match="is larger than 10 bytes"):
        read_file("/proc/self/status", 10)


TEXTS = [
    (b"\xef\xbb\xbfa", "utf-8", "a"),
    ("ä".encode("utf-16"), "utf-16", "ä"),
    (b"+AAA-", "utf-7", "\0"),
    (b"a\xe9", "utf-8", "is not utf-8 text: byte 0xe9 at offset 1 does not fit. Save it."),
    (b"a\0b", "utf-16-le", "is not utf-16-le text: byte 0x62 at offset 2 does not fit. Save it."),
    (b"a+2AA-", "utf-7", "is not utf-7 text: the character at place 1 is half a character. Save it."),
]


@pytest.mark.parametrize(("content", "encoding", "expected"), TEXTS, ids=range(len(TEXTS)))
def test_text(content, encoding, expected):
    if "Save it" not in expected:
        assert decode(content, "file", encoding) == expected
        return
    with pytest.raises(FileError) as refusal:
        decode(content, "file", encoding, "Save it.")
    assert str(refusal.value) == f"'file' {expected}"


def test_a_text_file(tmp_path):
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfh = x\r\n")
    assert read_text(tmp_path / "file", 99) == "h = x\r\n"


# --- JSON and TOML

NO_JSON = {
    b"": "is damaged: it is not JSON (Expecting value: line 1 column 1 (char 0))",
    b"[1]": "is damaged; expected a JSON object",
    b'{"a": NaN}': "is damaged: it is not JSON (NaN is no finite number)",
    b'{"a": -Infinity}': "is damaged: it is not JSON (-Infinity is no finite number)",
    b'{"a": 1e999}': "is damaged: it is not JSON (1e999 is no finite number)",
    b'{"a": ' + b"9" * 5000 + b"}": "is damaged: it is not JSON (a whole number of 5,000 digits; expected at most 20)",
    b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}": "is nested deeper than 32 levels",
    b"[" * 200_000: "is nested deeper than 32 levels",
    b'{"a":' * 100_000: "is nested deeper than 32 levels",
}


@pytest.mark.parametrize("content", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_object(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as refusal:
        read_object(path)
    assert str(refusal.value) == f"'{path}' {NO_JSON[content]}."


def test_json_of_a_form():
    assert parse_object(b'{"a": [[[1.5, -3, null, "x"]]]}', "f") == {"a": [[[1.5, -3, None, "x"]]]}
    assert parse_object(b'{"a": ' + b"[" * (DEPTH - 1) + b"]" * (DEPTH - 1) + b"}", "f")
    assert parse_json(b"[1, 2]", "f", list[int]) == [1, 2]
    with pytest.raises(FileError) as refusal:
        parse_json(b"[1, true]", "f", list[int], inside="line 3")
    assert str(refusal.value) == "'f', line 3 is damaged: 1 is True; it should be a valid integer."


NO_TOML = {
    b"a = " + b"9" * 5000: "is not TOML (Exceeds the limit",
    b"a = {b = [0x" + b"f" * 5000 + b"]}": "is not TOML (a whole number of more than 64 bits)",
    b"a = " + b"[" * 50_000 + b"]" * 50_000: "is nested deeper than 32 levels",
    b"a = " + b"[" * 40 + b"]" * 40: "is nested deeper than 32 levels",
    b".".join([b"a"] * 100_000) + b" = 1": "is nested deeper than 32 levels",
    b"[" + b".".join([b'"a"'] * 20_000) + b"]": "is nested deeper than 32 levels",
    b"x = {" + b" . ".join([b"'a'"] * 20_000) + b" = 1}": "is nested deeper than 32 levels",
    b"a" * 200_000: "is not TOML (",
    b'"' * 200_000: "is not TOML (",
    b"a\0 = 1": "is not TOML (",
    b"#" * (1 << 18) + b"#": "is larger than 262,144 bytes",
}


@pytest.mark.parametrize("content", NO_TOML, ids=range(len(NO_TOML)))
def test_what_is_no_toml(tmp_path, content):
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(FileError) as refusal:
        read_toml(path)
    assert str(refusal.value).startswith(f"'{path}' {NO_TOML[content]}")
    assert time.process_time() - began < 10


def test_toml(tmp_path):
    path = tmp_path / "file.toml"
    path.write_bytes(b'\xef\xbb\xbfa = 1\r\nb = {c = 0.5}\nd = "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15"\n[e.f]\n')
    assert read_toml(path) == {"a": 1, "b": {"c": 0.5}, "d": "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15", "e": {"f": {}}}
    dots = ".".join("abcdefghijklmnopqrstuvwxyz")
    path.write_text(f'# {dots}\na = "{dots}" # {dots}\n')
    assert read_toml(path) == {"a": dots}


# --- packed files


def test_no_bomb_is_unpacked():
    bomb = gzip.compress(bytes(1 << 26), 9)
    for read in (
        lambda: unpack_gzip(bomb, "f.gz", 1 << 20),
        lambda: list(unpack_tar(bomb, "f.gz", 1 << 20)),
        lambda: unpack_idx(bomb, "f.gz", 3, 1 << 20),
    ):
        tracemalloc.start()
        with pytest.raises(FileError, match=r"'f.gz' unpacks to more than 1,048,\d\d\d bytes, which is more than such"):
            read()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()
    assert unpack_gzip(gzip.compress(b"a") + gzip.compress(b"b"), "f.gz", 2) == b"ab"


def head(name=b"a", size=b"00000000003", kind=b"0", magic=b"ustar\x0000", prefix=b""):
    """One header of a tar archive, with its checksum."""
    block = bytearray(512)
    for place, field in ((0, name), (124, size), (156, kind), (257, magic), (345, prefix)):
        block[place : place + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_archives():
    body = b"abc".ljust(512, b"\0")
    whole = head(b"folder/", b"0", b"5") + head() + body + head(b"b", prefix=b"up") + body + head(b"l", b"0", b"2")
    whole += head(b"PaxHeader", kind=b"x") + body + head(b"c" * 100, b"0", b"\0", b"") + bytes(1024)
    members = list(unpack_tar(gzip.compress(whole), "f", 1 << 20))
    assert [(member.name, member.content, member.regular) for member in members] == [
        ("a", b"abc", True),
        ("up/b", b"abc", True),
        ("l", b"", False),
        ("c" * 100, b"", True),
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (head(size=b"77777777777"), "it ends within 'a'"),
        (head(size=b"-0000000001"), "a header has no size"),
        (head(size=b"\x80" + b"\xff" * 11), "a header has no size"),
        (head()[:200], "a header does not match its checksum"),
        (b"\1" * 512, "a header does not match its checksum"),
    ],
)
def test_damaged_archives(content, why):
    with pytest.raises(FileError) as refusal:
        list(unpack_tar(gzip.compress(content), "f.tar.gz", 1 << 20))
    assert str(refusal.value) == f"'f.tar.gz' is not a whole .tar.gz archive ({why}). Download it again."


# --- arrays


def npz(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(header, body=b"", version=b"\x01\x00"):
    length = struct.pack("<H" if version[:1] == b"\x01" else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + body


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(np.random.default_rng(1).normal(size=(3, 4))),
        np.float32(3),
        np.array(["N", "ab"]),
        np.zeros((0, 3)),
        np.array([True, False]),
    ],
    ids=str,
)
def test_arrays_come_back(array):
    stream = io.BytesIO()
    np.savez(stream, a=array, other=np.array([{}], dtype=object))
    found = parse_npz(stream.getvalue(), "f", ["a"], 1 << 20)["a"]
    assert found.dtype == np.asarray(array).dtype
    assert np.array_equal(found, array)
    assert found.flags.f_contiguous == np.asarray(array).flags.f_contiguous


GOOD = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (npz(b=b""), "is not an .npz file with a (There is no item named 'a.npy' in the archive). Download it again."),
        (b"PK", "is not an .npz file with a (File is not a zip file). Download it again."),
        (npz(a=b""), "holds 'a.npy', which is no array of numbers or texts"),
        (npz(a=npy(GOOD.replace(b"<f8", b"|O"))), "holds 'a.npy', which is no array of numbers or texts"),
        (npz(a=npy(b"(" * 9999)), "holds 'a.npy', which is no array of numbers or texts"),
        (npz(a=npy(GOOD.replace(b"2,", b"10000000000, 10000000000"))), "says that 'a.npy' is float64 (10000000000, 1"),
        (npz(a=npy(GOOD, bytes(8))), "says that 'a.npy' is float64 (2,), and it has 8 bytes"),
        (npz(a=bytes(1 << 24)), "says that 'a.npy' has 16,777,216 bytes; expected at most 1,048,576"),
    ],
    ids=range(8),
)
def test_what_is_no_array(content, sentence):
    with pytest.raises(FileError) as refusal:
        parse_npz(content, "f.npz", ["a"], 1 << 20)
    assert str(refusal.value).startswith(f"'f.npz' {sentence}")


def test_idx():
    content = struct.pack(">IIII", 0x0803, 1, 2, 3) + bytes(range(6))
    assert unpack_idx(gzip.compress(content), "f", 3, 6).tolist() == [[[0, 1, 2], [3, 4, 5]]]
    for wrong in (b"", b"\0\0\x08", content[:16], content[:-1], struct.pack(">IIII", 0x0803, *[2**32 - 1] * 3)):
        with pytest.raises(FileError, match=r"is not an idx file of bytes in 3 dimensions|says it holds"):
            unpack_idx(gzip.compress(wrong), "f", 3, 6)


# --- the rest


def test_a_sound_is_no_longer_than_its_file():
    content = b"RIFF\xff\xff\xff\x7fWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    sound = parse_wav(content + b"data\xf0\xff\xff\x7fabcd", "f")
    assert (sound.channels, sound.bits, sound.rate, sound.samples) == (1, 16, 8000, b"abcd")
    assert sound.count == 0x3FFFFFF8
    with pytest.raises(FileError) as refusal:
        parse_wav(b"RIFF", "f", inside="'a.wav'")
    assert str(refusal.value) == "'f', 'a.wav' is not a wave file (it ends too early). Download it again."


def test_tables():
    assert list(parse_csv('a;b\n\n"1;2";3\n', "f")) == [(1, ["a", "b"]), (3, ["1;2", "3"])]
    with pytest.raises(FileError) as refusal:
        list(parse_csv(f'a\n"{"x" * 200_000}"', "f"))
    assert str(refusal.value) == (
        "'f', line 2 cannot be read (field larger than field limit (131072)). Expected CSV, with quotes that end."
    )


def tensors(entry, body=bytes(8)):
    told = json.dumps(entry).encode()
    return struct.pack("<Q", len(told)) + told + body


def test_tensors_come_back(tmp_path):
    kinds = [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32]
    given = {str(kind): torch.ones(2, 3, dtype=kind) for kind in [*kinds, torch.float64]} | {"": torch.zeros(0, 2)}
    path = tmp_path / "file"
    path.write_bytes(save(given, {"format": "a"}))
    found, metadata = read_safetensors(path)
    for read in (found, parse_safetensors(path.read_bytes(), path)):
        assert read.keys() == given.keys()
        assert all(torch.equal(read[name], given[name]) and read[name].dtype == given[name].dtype for name in given)
    assert metadata == {"format": "a"}


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 10**12) + b"{}",
        struct.pack("<Q", 3) + b"[[[",
        tensors({"a": 1}),
        tensors({"a": ENTRY | {"dtype": "F99"}}),
        tensors({"a": ENTRY | {"dtype": "U16"}}),
        tensors({"a": ENTRY | {"shape": [3]}}),
        tensors({"a": ENTRY | {"shape": [-2]}}),
        tensors({"a": ENTRY | {"shape": [2**40, 2**40]}}),
        tensors({"a": ENTRY | {"data_offsets": [8, 16]}}),
        tensors({"a": ENTRY | {"more": 1}}),
        tensors({"a": ENTRY}, b""),
        tensors({"a": ENTRY, "__metadata__": {"a": 1}}),
    ],
    ids=range(14),
)
def test_what_are_no_tensors(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    for read in (lambda: parse_safetensors(content, path), lambda: read_safetensors(path)):
        with pytest.raises(FileError, match=rf"^'{path}'"):
            read()
