"""Runs: files that survive a crash, and processes that stop cleanly on a signal."""
