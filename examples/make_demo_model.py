"""Pack the newest checkpoint of a run as the model that `gatework explore --demo` opens.

    gatework train --config examples/explorer_demo.toml
    python examples/make_demo_model.py runs/explorer-demo

It writes src/gatework/explorer/demo/model.safetensors and model.json, which says what is in it: the run's settings, its
vocabulary, the step, what it was measured at, and the SHA-256 of the tensors.
"""

import sys
from pathlib import Path

import safetensors.torch

from gatework.runs.files import digest, write_file, write_json
from gatework.training.restore import load_model
from gatework.training.run import RunDirectory

FOLDER = Path(__file__).parent.parent / "src" / "gatework" / "explorer" / "demo"
MOST_BYTES = 1_000_000


def pack(run: str) -> None:
    loaded = load_model(run)
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in loaded.model.state_dict().items()})
    if len(content) > MOST_BYTES:
        sys.exit(f"the model has {len(content):,} bytes: expected at most {MOST_BYTES:,}; train a smaller one")
    measured = [line for line in RunDirectory(Path(run)).read_metrics() if "valid_loss" in line]
    # Where the run lies on this machine is nobody else's business.
    config = loaded.config.model_dump(mode="json", exclude_defaults=True) | {"run": ""}
    facts = {
        "config": config,
        "vocabulary": loaded.vocabulary.to_json(),
        "step": loaded.step,
        "valid_loss": measured[-1]["valid_loss"] if measured else None,
        "sha256": digest(content),
    }
    write_file(FOLDER / "model.safetensors", content)
    write_json(FOLDER / "model.json", facts)
    print(f"{FOLDER}: {len(content):,} bytes, step {loaded.step:,}, held-out loss {facts['valid_loss']:.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pack(sys.argv[1])
