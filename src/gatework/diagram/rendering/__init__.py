"""Rendering: a scene as a file, in the colours of a theme."""
