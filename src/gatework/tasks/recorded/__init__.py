"""Tasks on recorded sequences: one file each, named after the task."""
