"""The claims of the essays and papers, each measured here: ``python -m evidence``.

In the order in which a figure passes through them: ``figures`` (a number with its interval), ``claim`` (what is
claimed, how it is measured, how it is judged), ``claims`` (all of them), ``jobs`` (what runs side by side), ``session``
(a run that can be stopped), ``results`` (the files, and what has moved), ``page`` (docs/evidence.md).
"""
