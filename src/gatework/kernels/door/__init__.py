"""The door: where layers come in, the choice of a backend, and what is said about it."""
