"""Tasks: the data, the model and the metric of one job.

Language modelling of text is spread over five files, in the order in which text passes through them: ``sources``
(which files), ``corpus`` (their symbols, cut into splits), ``vocabulary`` (symbols to numbers), ``text`` (batches,
model, metric) and ``sampling`` (numbers back to text).
"""
