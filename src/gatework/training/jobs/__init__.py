"""Jobs: the data and the model of a training run. Each kind of job has a file and a row in the registry."""
