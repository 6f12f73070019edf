"""Tasks whose sequences are drawn from a seed: one file each, named after the task."""
