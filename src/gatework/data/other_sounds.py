"""Recordings that the package soundfile reads, which is imported here alone.

Import this module through :func:`gatework.lazy.late`, because the package may not be installed.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatework.errors import DataError, FileError

try:
    import soundfile
except ImportError:
    raise DataError(
        "Recordings in FLAC and OGG need the package soundfile, which is not installed. Run pip install "
        "'gatework[speech]', or convert them to WAV."
    ) from None


def read_channels(content: bytes, path: Path) -> tuple[NDArray[np.float64], int]:
    """Read a file in FLAC or OGG.

    Args:
        content: The bytes of the file.
        path: The file, for error messages.

    Returns:
        The channels ``[n, C]``, between -1 and 1, and the number of samples a second.

    Raises:
        FileError: If it is no such file, or damaged.
    """
    try:
        channels, rate = soundfile.read(BytesIO(content), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        told = str(error.error_string).rstrip(".")
        raise FileError(path, f"is no recording that can be read ({told})", "Record or copy it again.") from error
    return np.asarray(channels, np.float64), rate
