"""Fused kernels for CPUs: machine code made from a Plan by LLVM, with no compiler on the machine."""
