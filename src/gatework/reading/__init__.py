"""Read files that others wrote: one reader for each format. No other module reads a file.

Every reader takes regular files only, limits how much it reads, and raises only :class:`gatework.errors.FileError`. The
caller adds what the file was for.
"""
