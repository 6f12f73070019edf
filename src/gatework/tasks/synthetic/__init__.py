"""Tasks whose sequences are drawn from a seed: one file each, named as the task is."""
