"""Jobs: what a training run trains on, one file each."""
