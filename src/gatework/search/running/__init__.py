"""Running: one trial of any job, in a process of its own."""
