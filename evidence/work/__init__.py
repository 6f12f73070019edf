"""What worker processes do; each function takes and gives plain data."""
