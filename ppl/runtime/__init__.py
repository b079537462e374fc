"""Running a plan: plan + parameters + noise + data to a trace of per-site records."""

from ppl.runtime.executor import Executor, closed_entropy, guide_costs, initial_points, model_costs
from ppl.runtime.trace import CostValue, Record, Trace

__all__ = [
    "CostValue",
    "Executor",
    "Record",
    "Trace",
    "closed_entropy",
    "guide_costs",
    "initial_points",
    "model_costs",
]
