"""The staged program of a plan's log density as text: the NumPy calls that a gradient is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.guides import Guide
from ppl.model.plan import Plan
from ppl.runtime import Executor

DRAWS = 32
"""Of the program that is shown; one is made for each number of draws."""


def staged_lines(plan: Plan, data: Mapping[str, Any], guide: Guide) -> list[str]:
    """A heading with counts, what the program's constants are, and its source.

    Only for models whose log density is a function of one vector: without learned parameters and factors of their own.
    """
    from ppl.backends import get_backend
    from ppl.backends.staging import NotRecordable, staged_program, values_and_slopes

    if plan.factored or plan.model.params:
        return ["# staged: not shown for a model with learned parameters or sites with a factor of their own"]
    executor = Executor(plan, data, get_backend().xp)
    rows = 0.1 * np.random.default_rng(0).standard_normal((DRAWS, guide.layout.size))
    try:
        with np.errstate(all="ignore"):
            program = staged_program(values_and_slopes(lambda x: executor.log_joint(guide, x)), (rows,))
    except NotRecordable as error:
        return [f"# staged: not at all, it stays eager: {error}"]
    arrays = {name: value for name, value in program.names.items() if isinstance(value, np.ndarray) and value.ndim}
    numbers = sum(value.size for value in arrays.values())
    head = f"# staged: log density and gradient of {DRAWS} draws, {program.instructions} instructions"
    folded = f"# folded from data: {len(arrays)} arrays, {numbers:,} numbers"
    shapes = [f"#   {name}: {value.dtype} {value.shape}" for name, value in arrays.items()]
    return [f"{head} from {program.recorded} recorded calls", folded, *shapes, *program.source.splitlines()]
