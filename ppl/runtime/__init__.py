"""Running a plan: plan + parameters + noise + data to a trace of per-site records."""

from ppl.runtime.executor import Executor, cost_values, initial_points
from ppl.runtime.trace import CostValue, Record, Trace

__all__ = ["CostValue", "Executor", "Record", "Trace", "cost_values", "initial_points"]
