"""The reference: a step in eager torch, which says what every other backend has to compute."""
