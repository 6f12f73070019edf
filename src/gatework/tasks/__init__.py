"""Tasks: sequences, their targets, and the criterion of success.

A sequence task is a table (``task``), with one file each in ``synthetic``, ``recorded`` and ``generic``, listed in
``registry``. The model, the loss and the metrics that all tasks share are in :mod:`gatework.models.sequences`.
"""
