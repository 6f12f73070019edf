"""Recordings as samples: every width of WAV, other formats, other rates, and what is refused."""

import io
import math
import struct
import sys
import wave

import numpy as np
import pytest

from gatework.data.sounds import Samples, read_samples, resample
from gatework.errors import DataError


def wav(content: bytes, width: int = 2, channels: int = 1, rate: int = 8000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return stream.getvalue()


WIDTHS = {
    1: (struct.pack("3B", 0, 128, 255), [-1, 0, 127 / 128]),
    2: (struct.pack("<3h", -(2**15), 0, 2**15 - 1), [-1, 0, 1 - 2**-15]),
    3: (b"\x00\x00\x80" + b"\x01\x00\x00" + b"\xff\xff\x7f", [-1, 2**-23, 1 - 2**-23]),
    4: (struct.pack("<3i", -(2**31), 1, 2**31 - 1), [-1, 2**-31, 1 - 2**-31]),
}


@pytest.mark.parametrize("width", WIDTHS)
def test_samples_of_every_width_are_read(tmp_path, width):
    content, expected = WIDTHS[width]
    (tmp_path / "a.WAV").write_bytes(wav(content, width))
    found = read_samples(tmp_path / "a.WAV")
    assert found.values.tolist() == expected
    assert (found.rate, found.changes, found.seconds) == (8000, (), 3 / 8000)


def test_channels_are_mixed_and_it_is_said(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(struct.pack("<4h", 2**14, 0, 0, -(2**13)), channels=2))
    found = read_samples(tmp_path / "a.wav")
    assert found.values.tolist() == [0.25, -0.125]
    assert found.changes == ("2 channels mixed to one",)
    assert found.at(16_000).changes[1:] == ("resampled from 8,000 to 16,000 samples a second",)
    assert found.at(8000) is found


whole = wav(struct.pack("<100h", *range(100)))
REFUSED = {
    "empty.wav": (b"", "is empty|is not a wave file"),
    "text.wav": (b"no sound at all", "is not a wave file"),
    "cut.wav": (whole[:-10], "is cut off: its header promises 100 samples, and it has 95. Record or copy it again."),
    "header.wav": (whole[:44], "is cut off: its header promises 100 samples, and it has 0."),
    "silent.wav": (wav(b""), "has no samples; expected a recording of some sound."),
    "slow.wav": (wav(b"\0\0", rate=7), "has 7 samples a second; expected 1,000 to 384,000. Its header may be damaged."),
    "a.mp3": (b"ID3", "is no recording that is read; expected a file ending in .wav, .flac, .ogg."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path, name):
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_samples(tmp_path / name)
    assert str(refused.value).startswith(f"'{tmp_path / name}'")
    assert any(part in str(refused.value) for part in message.split("|"))


def test_a_missing_recording_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.wav"):
        read_samples(tmp_path / "none.wav")


@pytest.mark.parametrize("ending", ["flac", "ogg"])
def test_other_formats_need_soundfile(tmp_path, ending, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.delitem(sys.modules, "gatework.data.other_sounds", raising=False)
    (tmp_path / f"a.{ending}").write_bytes(b"fLaC")
    with pytest.raises(DataError, match=r"need the package soundfile, .* pip install 'gatework\[speech\]'"):
        read_samples(tmp_path / f"a.{ending}")


def test_other_formats_are_read_by_soundfile(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    tone = 0.4 * np.sin(np.arange(4000) * 0.2)
    soundfile.write(tmp_path / "a.flac", np.stack([tone, -tone / 2], 1), 16_000, subtype="PCM_24")
    found = read_samples(tmp_path / "a.flac")
    assert (found.rate, found.changes) == (16_000, ("2 channels mixed to one",))
    np.testing.assert_allclose(found.values, tone / 4, atol=2**-22)
    soundfile.write(tmp_path / "a.ogg", tone, 16_000)
    loud = read_samples(tmp_path / "a.ogg").values
    assert np.corrcoef(loud[200:3800], tone[200:3800])[0, 1] > 0.99
    (tmp_path / "b.flac").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"b\.flac' is no recording that can be read \(.*\)\. Record or copy it again"):
        read_samples(tmp_path / "b.flac")


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16_000), (44_100, 16_000), (16_000, 8000), (11_025, 8000)])
def test_a_tone_is_the_same_tone_at_another_rate(rate, wanted):
    count, pitch = rate // 2, 0.3 * min(rate, wanted)
    found = resample(np.cos(2 * math.pi * pitch * np.arange(count) / rate + 0.4), rate, wanted)
    expected = np.cos(2 * math.pi * pitch * np.arange(len(found)) / wanted + 0.4)
    assert len(found) == math.ceil(count * wanted / rate)
    inner = slice(len(found) // 10, -len(found) // 10)
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-3)


def test_what_a_lower_rate_cannot_hold_is_taken_out():
    high = np.cos(2 * math.pi * 7000 * np.arange(16_000) / 16_000)
    found = Samples(high, 16_000).at(8000)
    assert np.abs(found.values[200:-200]).max() < 1e-3
    assert np.abs(resample(np.ones(3000), 44_100, 16_000)[100:-100] - 1).max() < 1e-3


def test_a_single_sample_is_resampled():
    assert len(resample(np.ones(1), 8000, 16_000)) == 2
    assert len(resample(np.ones(1), 48_000, 8000)) == 1
