"""The CPU kernels beside their peers, in one process and with the same threads: ``python -m benchmarks.cpu --help``."""
