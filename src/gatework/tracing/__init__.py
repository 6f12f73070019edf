"""Look inside layers: traces, gradients through time, interventions, probes.

Everything here works by transformations of equations (:mod:`gatework.language.handles`), so a traced run uses the same
kernels as any other run.
"""

from gatework.tracing.chunks import save_trace, trace_chunks
from gatework.tracing.clamping import clamp
from gatework.tracing.equation_terms import Term, terms
from gatework.tracing.flow import Flow, gradient_flow, memory_length
from gatework.tracing.forgetting import half_life, half_lives
from gatework.tracing.jacobian import StateJacobian, state_jacobian
from gatework.tracing.probing import Probe, probe
from gatework.tracing.recording import trace
from gatework.tracing.traces import Trace, TracedLayer

__all__ = [
    "Flow",
    "Probe",
    "StateJacobian",
    "Term",
    "Trace",
    "TracedLayer",
    "clamp",
    "gradient_flow",
    "half_life",
    "half_lives",
    "memory_length",
    "probe",
    "save_trace",
    "state_jacobian",
    "terms",
    "trace",
    "trace_chunks",
]
