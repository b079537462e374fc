"""The compiler: named passes from a model to a plan, and code generation from the plan."""

from ppl.compiler.enumeration.program import enumerated_program, marginals_program
from ppl.compiler.enumeration.sites import enumerate_sites, state_count, too_large
from ppl.compiler.marginal.program import conditionals_program
from ppl.compiler.pipeline import PASSES, compile_model, with_marginals
from ppl.compiler.predictor.program import predicted_program
from ppl.compiler.programs.generate import (
    constrain_program,
    density_program,
    encoder_program,
    expected_program,
    pointwise_program,
    quantities_program,
    simulate_program,
)

__all__ = [
    "PASSES",
    "compile_model",
    "conditionals_program",
    "constrain_program",
    "density_program",
    "encoder_program",
    "enumerate_sites",
    "enumerated_program",
    "expected_program",
    "marginals_program",
    "pointwise_program",
    "predicted_program",
    "quantities_program",
    "simulate_program",
    "state_count",
    "too_large",
    "with_marginals",
]
