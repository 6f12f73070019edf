"""Fused kernels for CPUs: machine code that LLVM makes from a plan, without a compiler on the machine."""
