"""Runs: files that survive a crash, and processes that stop when they are told."""
