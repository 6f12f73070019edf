"""Jobs: what a training run trains on. Each has a file and a row in the registry."""
