"""The door: it takes the calls of layers, chooses a backend, and explains the choice."""
