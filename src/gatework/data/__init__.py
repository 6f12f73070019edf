"""Data: texts and recordings as numbers, before any model.

Text passes through ``sources`` (which files), ``corpus`` (their symbols, cut into splits) and ``vocabulary`` (symbols
to numbers).
"""
