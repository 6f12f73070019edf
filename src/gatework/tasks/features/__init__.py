"""Features: numbers computed from a recording before a network reads it."""
