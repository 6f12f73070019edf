"""The formats that files of other programs begin with, so that a refusal can name them. Standard library only."""

import re

# The first bytes of a format, what it is called, and what to do with such a file here.
_SIGNATURES = (
    (b"%PDF", "a PDF document", "export its table as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word document", "save it as CSV"),
    (b"PK\x03\x04", "an Excel sheet or another zip archive", "save the sheet as CSV, or unpack the archive"),
    (b"\x1f\x8b", "packed by gzip", "unpack it with gunzip"),
    (b"BZh", "packed by bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ\0", "packed by xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it with unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"\x89HDF", "an HDF5 file", "save its table as CSV or Parquet"),
    (b"CDF\x01", "a NetCDF file", "save its variables as CSV or Parquet"),
    (b"SQLite format 3\0", "an SQLite database", "save one of its tables as CSV"),
    (b"FEA1", "a Feather file of version 1", "save it again as version 2, or as Parquet"),
    (b"\x93NUMPY", "a NumPy array", "name the file .npy"),
    (b"\x80\x04", "a pickle, which could run any code", "save its table as CSV or Parquet"),
    (b"\x80\x05", "a pickle, which could run any code", "save its table as CSV or Parquet"),
    (b"\x89PNG", "a picture", "give the table that it shows"),
    (b"\xff\xd8\xff", "a picture", "give the table that it shows"),
    (b"RIFF", "a sound or a film", "give a folder of WAV files"),
)
# What stands inside a zip archive of an office program.
_OFFICE = (
    (re.compile(rb"xl/|\[Content_Types\]\.xml"), "an Excel sheet", "save it as CSV (in Excel: CSV UTF-8)"),
    (re.compile(rb"word/"), "a Word document", "save its table as CSV"),
    (re.compile(rb"mimetypeapplication/vnd\.oasis"), "an OpenDocument file", "save the sheet as CSV"),
)
_HTML = re.compile(rb"\s*<(!doctype html|html|\?xml|table)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\{\s*"|\[\s*[\[{])')


def name_format(beginning: bytes) -> tuple[str, str] | None:
    """Name the format of another program that a file begins with.

    Args:
        beginning: The first bytes of the file, some hundreds or more.

    Returns:
        What the file is, in words that follow "is", and what to do with it; None if it may be a text.

    Example:
        >>> name_format(b"%PDF-1.7 ...")
        ('a PDF document', 'export its table as CSV')
    """
    for signature, name, advice in _SIGNATURES:
        if beginning.startswith(signature):
            if signature == b"PK\x03\x04":
                office = ((what, do) for inside, what, do in _OFFICE if inside.search(beginning))
                return next(office, (name, advice))
            return name, advice
    if _HTML.match(beginning):
        return "a page of HTML or XML", "save its table as CSV"
    if _JSON.match(beginning):
        return "JSON", "save its table as CSV or Parquet"
    return None
