"""Staging: value and gradient recorded once, made into a flat program of NumPy calls, and replayed without autograd.

`recording` writes one run down, `translate` makes a graph of it, `build` simplifies, `lower` and `emit` write the
program, `stages` decides when to do all this and checks the first replay.
"""

from ppl.backends.staging.recording import NotRecordable, value_and_grad, values_and_slopes
from ppl.backends.staging.stages import STAGE_AFTER, Stage, StagedFunction, staged_program, staged_value_and_grad

__all__ = [
    "STAGE_AFTER",
    "NotRecordable",
    "Stage",
    "StagedFunction",
    "staged_program",
    "staged_value_and_grad",
    "value_and_grad",
    "values_and_slopes",
]
