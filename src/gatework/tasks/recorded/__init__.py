"""Tasks on sequences that somebody recorded: one file each, named as the task is."""
