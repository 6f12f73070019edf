"""Handwritten digits read pixel by pixel, in rows or in a mixed order, or row by row."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.recorded import read_file
from gatework.data.targets import IGNORED
from gatework.errors import DataError
from gatework.reading.arrays import unpack_idx
from gatework.tasks.asking import FROM_NOTES, guess
from gatework.tasks.task import Batch, Gap, Published, Recorded, Recording, Success, Task

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_FILES = {"train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")} | {
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
}
# The largest number of images in a file: MNIST has 60,000, and the largest similar data set 240,000.
_MOST_IMAGES = 250_000
# The last images of the training split that are held out, at most a tenth of it.
_HELD_OUT = 5000


def mixed_order() -> NDArray[np.int64]:
    """Return the order in which the permuted task reads the pixels: sorted by the SHA-256 of their numbers.

    It is the same for all images, never changes, and depends on no library's random generator.

    Returns:
        A permutation of 784 numbers.
    """
    hashes = [sha256(f"gatework {pixel}".encode()).digest() for pixel in range(_PIXELS)]
    return np.array(sorted(range(_PIXELS), key=hashes.__getitem__))


def _load(path: Path, gap: int, order: Callable[[], NDArray[np.int64]] | None = None) -> Recording:
    """Read MNIST as sequences of ``gap`` steps.

    Args:
        path: The folder with the four gzip files.
        gap: 784 for one pixel a step, 28 for one row.
        order: Returns the order in which pixels are read; None for row after row.

    Returns:
        The official test split; the last 5,000 training images are held out.

    Raises:
        DataError: If a file is missing or damaged.
    """
    facts: dict[str, object] = {"order": "rows" if order is None else "mixed, the same for all images"}
    read = {split: _read(path, *files) for split, files in _FILES.items()}
    images, classes = read["train"]
    cut = len(images) - min(_HELD_OUT, max(1, len(images) // 10))
    parts = {"train": (images[:cut], classes[:cut]), "valid": (images[cut:], classes[cut:]), "test": read["test"]}
    splits = {split: _batch(*part, gap, None if order is None else order()) for split, part in parts.items()}
    facts["images"] = {split: part.size for split, part in splits.items()}
    facts["chance"] = guess(splits["train"], splits["test"], 10)
    return Recording(splits, _PIXELS // gap, 10, facts)


def _read(path: Path, images_file: str, classes_file: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    names = path / images_file, path / classes_file
    images = unpack_idx(read_file(names[0]), names[0], 3, _MOST_IMAGES * _PIXELS)
    classes = unpack_idx(read_file(names[1]), names[1], 1, _MOST_IMAGES)
    if images.shape[1:] != (_SIDE, _SIDE) or len(images) != len(classes) or len(images) < 2:
        raise DataError(
            f"'{path}' has images {images.shape} and {len(classes)} classes; expected two or more of {_SIDE} x "
            f"{_SIDE}, and as many classes. Download the files again."
        )
    if classes.max() > 9:
        raise DataError(f"'{path / classes_file}' has a class {classes.max()}; expected 0 to 9. Download it again.")
    return images.reshape(-1, _PIXELS), classes


def _batch(images: NDArray[np.uint8], classes: NDArray[np.uint8], steps: int, order: NDArray | None) -> Batch:
    size = len(images)
    pixels = images if order is None else images[:, order]
    inputs = torch.from_numpy(pixels.astype(np.float32)).div_(255).view(size, steps, -1)
    targets = torch.full((size, steps), IGNORED)
    targets[:, -1] = torch.from_numpy(classes.astype(np.int64))
    # In memory an image stays in one piece, which makes it cheap to take; only the view is time first.
    return Batch(inputs.transpose(0, 1), targets.transpose(0, 1))


_NOTES = (
    "Pixels are scaled to [0, 1]. Of the training images the last 5,000 are held out. Read pixel by pixel the whole "
    "set takes about 660 MB of memory, and a run with these settings 1.4 to 1.7 GB at its peak."
)
_PIXEL_BY_PIXEL = Gap(_PIXELS, "pixels read, one a step: all of them", least=_PIXELS, most=_PIXELS)
_DEFAULTS = {"hidden_size": 128, "batch_size": 64, "learning_rate": 1e-3, "steps": 8000}
_BAI = "Bai, Kolter & Koltun 2018, arXiv:1803.01271, table 1"
_LE = f"Le, Jaitly & Hinton 2015, arXiv:1504.00941; {FROM_NOTES}"

mnist = Task(
    name="mnist",
    title="Sequential MNIST",
    asks="The model reads a handwritten digit pixel by pixel, row after row. Which digit is it?",
    source="Le, Jaitly & Hinton 2015, arXiv:1504.00941, section 4.2",
    kind="choice",
    inputs=1,
    outputs=10,
    gap=_PIXEL_BY_PIXEL,
    success=Success("accuracy", at_least=0.95, words="Our own level, near that of the published GRU."),
    examples=Recorded("mnist", _load),
    published=(
        Published("LSTM, 70,000 parameters", "accuracy 87.2 %", _BAI),
        Published("GRU, 70,000 parameters", "accuracy 96.2 %", _BAI),
        Published("RNN, 70,000 parameters", "accuracy 21.5 %", _BAI),
        Published("TCN, 70,000 parameters", "accuracy 99.0 %", _BAI),
        Published("IRNN", "accuracy 97 %", _LE),
    ),
    defaults=_DEFAULTS,
    notes=_NOTES,
)

mnist_permuted = Task(
    name="mnist_permuted",
    title="Permuted sequential MNIST",
    asks="The model reads a handwritten digit pixel by pixel, in a shuffled order that is the same for all images. "
    "Which digit is it?",
    source="Le, Jaitly & Hinton 2015, arXiv:1504.00941, section 4.2",
    kind="choice",
    inputs=1,
    outputs=10,
    gap=_PIXEL_BY_PIXEL,
    success=Success("accuracy", at_least=0.85, words="Our own level, near that of the published LSTM and GRU."),
    examples=Recorded("mnist", partial(_load, order=mixed_order)),
    published=(
        Published("LSTM, 70,000 parameters", "accuracy 85.7 %", _BAI),
        Published("GRU, 70,000 parameters", "accuracy 87.3 %", _BAI),
        Published("RNN, 70,000 parameters", "accuracy 25.3 %", _BAI),
        Published("TCN, 70,000 parameters", "accuracy 97.2 %", _BAI),
        Published("IRNN", "accuracy 82 %", _LE),
    ),
    defaults=_DEFAULTS,
    notes=f"{_NOTES} Every paper mixes the pixels in its own order.",
)

mnist_rows = Task(
    name="mnist_rows",
    title="MNIST row by row",
    asks="The model reads a handwritten digit row by row. Which digit is it?",
    source="A common exercise; the images are those of LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86(11)",
    kind="choice",
    inputs=_SIDE,
    outputs=10,
    gap=Gap(_SIDE, "rows read, one a step: all of them", least=_SIDE, most=_SIDE),
    success=Success("accuracy", at_least=0.98, words="Our own level."),
    examples=Recorded("mnist", _load),
    published=(Published("LSTM", "accuracy 98 to 99 %", f"{FROM_NOTES}; they name no paper"),),
    defaults={"hidden_size": 128, "batch_size": 64, "learning_rate": 2e-3, "steps": 3000},
    notes="Pixels are scaled to [0, 1]. Of the training images the last 5,000 are held out.",
)
