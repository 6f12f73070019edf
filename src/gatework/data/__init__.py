"""Data: texts and recordings as numbers, before any model.

Text passes through ``sources`` (files), ``corpus`` (symbols in splits) and ``vocabulary`` (numbers for symbols).
"""
