"""Running one trial of any job in a separate process."""
