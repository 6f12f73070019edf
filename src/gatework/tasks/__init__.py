"""Tasks: what is asked of sequences, and what counts as solved.

A sequence task is a table (``task``), one file each in ``synthetic`` and ``recorded``, listed in ``registry``. The
model, the loss and the metrics that all of them share are in :mod:`gatework.models.sequences`.
"""
