"""Tasks: the data, the model and the metric of one job.

Language modelling of text is spread over six files, in the order in which text passes through them: ``sources``
(which files), ``corpus`` (their symbols, cut into splits), ``vocabulary`` (symbols to numbers), ``text`` (batches,
model, metric), ``loss`` and ``sampling`` (numbers back to text).

A sequence task is a table (``task``), one file each in ``synthetic`` and ``recorded``, listed in ``registry``; what all
of them share, model, loss and metrics, is in ``sequences``.
"""
