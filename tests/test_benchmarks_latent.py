"""The benchmark of models with latent variables runs, for so few steps that it misses its targets and says so."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import torch

from gatework.cells import CELLS, LATENT
from gatework.heads import Bits
from gatework.training.jobs.shape import SequenceShape

PATH = Path(__file__).parent.parent / "benchmarks" / "latent.py"


def test_what_is_held_against_each_other_has_as_many_parameters():
    models = runpy.run_path(str(PATH), run_name="latent")["MODELS"]
    assert set(models) == set(LATENT)
    for name, model in models.items():
        shape = SequenceShape(88, Bits(88), latent_size=model.settings["latent_size"])
        own, lstm = shape.count(LATENT[name], model.settings["hidden_size"]), shape.count(CELLS["lstm"], model.lstm)
        assert abs(own / lstm - 1) < 0.01


def test_it_says_which_targets_it_misses(data_folder, tmp_path):
    written = tmp_path / "latent.json"
    words = ("--seeds", "1", "--steps", "3", "--write", written)
    done = subprocess.run([sys.executable, PATH, *words], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1, done.stderr
    assert "missed: storn: an estimate of at most 7.3" in done.stdout
    found = json.loads(written.read_text())
    assert set(found["models"]) == set(LATENT)
    for model in found["models"].values():
        assert model["runs"][0]["estimate"] < model["runs"][0]["loss"]
    assert torch.tensor([model["lstm"][0]["loss"] for model in found["models"].values()]).isfinite().all()
