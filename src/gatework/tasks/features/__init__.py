"""Features: what is computed from a recording before a network reads it."""
