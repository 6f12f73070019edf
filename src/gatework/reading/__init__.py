"""Files from strangers: one reader for each format, and no other module reads a file.

Every reader takes regular files only, has a bound for how much it takes in, and raises nothing but
:class:`gatework.errors.FileError`. Who calls it says what the file was for.
"""
