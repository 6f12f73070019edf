"""``gatework doctor``."""

import torch

from gatework.cli.doctor import advise, examine

HEALTHY = {
    "memory_free": 8 * 2**30,
    "disk_free": 8 * 2**30,
    "threads": 2,
    "cores": 2,
    "devices": ["cpu", "cuda:0"],
    "optional_packages": {"onnx": "1", "onnxscript": "1", "onnxruntime": "1", "sphinx": None},
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
    assert advise(HEALTHY | {"threads": 16}) == [
        "torch uses 16 threads on 2 cores, which is slow: export OMP_NUM_THREADS=2."
    ]
