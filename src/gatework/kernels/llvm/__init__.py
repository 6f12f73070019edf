"""LLVM: what any target of LLVM shares, from a writer of its text to vector functions."""
