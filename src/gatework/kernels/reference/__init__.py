"""The reference: a step in eager torch. Every other backend must compute the same."""
