"""LLVM: the parts that all LLVM targets share, from a writer of LLVM's text to vector functions."""
