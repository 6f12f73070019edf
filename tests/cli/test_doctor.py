"""``gatework doctor``."""

import torch

from gatework.cli.doctor import advise, examine
from gatework.kernels.cpu.cache import key_of, write

HEALTHY = {
    "memory_free": 8 * 2**30,
    "disk_free": 8 * 2**30,
    "threads": 2,
    "cores": 2,
    "devices": ["cpu", "cuda:0"],
    "optional_packages": {"onnx": "1", "onnxscript": "1", "onnxruntime": "1", "sphinx": None},
    "kernels": "avx2",
    "kernel_cache_trouble": "",
    "default_text": "/lib",
}


def test_doctor_names_what_is_there(gatework):
    report = gatework("doctor", "--json").json
    assert report["torch"] == torch.__version__
    assert report["devices"][0] == "cpu"
    assert report["cores"] >= 1
    assert isinstance(report["advice"], list)
    text = gatework("doctor").out
    assert torch.__version__ in text
    assert str(report["processor"]) in text


def test_examine_measures_sizes_in_bytes():
    report = examine()
    assert 0 < report["memory_free"] <= report["memory"]
    assert report["disk_free"] > 0


def test_doctor_says_where_kernels_are_kept(gatework, monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path))
    report = gatework("doctor", "--json").json
    assert report["kernel_cache"] == str(tmp_path / "kernels")
    assert (report["kernel_cache_files"], report["kernel_cache_size"]) == (0, 0)
    assert write(key_of("a text"), b"machine code")
    report = gatework("doctor", "--json").json
    assert report["kernel_cache_files"] == 1
    assert report["kernel_cache_size"] > len(b"machine code")
    monkeypatch.setenv("GATEWORK_CACHE", "")
    report = gatework("doctor", "--json").json
    assert report["kernel_cache"] is None
    assert any(
        one == "Kernels are compiled anew in each process, as none are kept on disk: GATEWORK_CACHE is empty; "
        "see GATEWORK_CACHE."
        for one in report["advice"]
    )


def test_nothing_to_say_to_the_healthy(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert advise(HEALTHY) == []


def test_advice(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    ill = HEALTHY | {
        "memory_free": 2**30,
        "disk_free": 2**29,
        "threads": 1,
        "devices": ["cpu"],
        "optional_packages": {"onnx": None, "sphinx": None},
        "default_text": None,
    }
    assert advise(ill) == [
        "Only 1.0 GiB of memory is free: lower --batch-size or --hidden-size.",
        "Only 0.5 GiB is free on this disk: checkpoints may not fit; see --run.",
        "OMP_NUM_THREADS=1 keeps torch to 1 of 2 cores: unset it for a single training run.",
        "There is an NVIDIA driver, but this torch has no CUDA: install a CUDA build from pytorch.org.",
        "This Python ships without its source, so gatework train needs --data FILE or --data FOLDER.",
        "For export, onnx are missing: pip install 'gatework[onnx]'.",
    ]
    assert advise(HEALTHY | {"kernels": None, "kernel_cache_trouble": "unasked"}) == [
        "Kernels know none of this processor's vector units, so layers run on torch's operations, which is slower."
    ]
    assert advise(HEALTHY | {"threads": 16}) == [
        "torch uses 16 threads on 2 cores, which is slow: export OMP_NUM_THREADS=2."
    ]
