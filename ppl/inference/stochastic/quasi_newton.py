"""L-BFGS on an objective that is deterministic: at fixed draws (sample average approximation), or without any."""

from __future__ import annotations

import numpy as np

from ppl.errors import InferenceError
from ppl.guides import Guide
from ppl.inference.progress import Progress
from ppl.inference.stochastic.descent import Optimised
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.optimisers import LBFGS
from ppl.inference.stochastic.options import StochasticOptions

FEWEST = 200
"""Draws that stand for the guide."""


def minimise_at_fixed_draws(
    objective: StochasticObjective,
    guide: Guide,
    start: np.ndarray,
    rng: np.random.Generator,
    options: StochasticOptions,
    progress: Progress,
) -> Optimised:
    """The minimum at one set of draws, which do not matter where the objective needs none.

    Raises InferenceError where it has no such form.
    """
    _check(guide, objective)
    draws = 2 if objective.noiseless else max(FEWEST, options.gradient_draws)
    noise = objective.noise(rng, start, draws)
    history: list[float] = []
    progress.expect(options.steps)

    def function(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            loss, gradient = objective.value_and_grad(parameters, noise)
        history.append(-loss)
        progress.update(len(history), -loss)
        finite = np.isfinite(loss) and np.isfinite(gradient).all()
        return (loss, gradient) if finite else (np.inf, np.zeros_like(gradient))

    from scipy.optimize import minimize

    found = minimize(
        function, start, jac=True, method="L-BFGS-B", options={"maxiter": options.steps, "maxfun": options.steps}
    )
    done = bool(found.success) and bool(np.isfinite(found.fun))
    vanished = "the gradient vanished" if objective.noiseless else "the gradient at fixed draws vanished"
    return Optimised(
        np.asarray(found.x), np.array(history), done, vanished if done else f"L-BFGS stopped: {found.message}"
    )


def _check(guide: Guide, objective: StochasticObjective) -> None:
    def refuse(why: str) -> InferenceError:
        return InferenceError.of(
            "E703", None, f"optimiser='{LBFGS}' needs a deterministic objective: {why}", "use adam"
        )

    if any(batch.drawn for batch in guide.plan.model.batches):
        raise refuse("a plate is seen in random parts")
    if not guide.free or guide.plan.scored or objective.weighs:
        raise refuse("its draws, or their weights, depend on the parameters")
    if guide.vector.size(guide.layout.size) > 2 * guide.layout.size and not objective.noiseless:
        raise InferenceError.of(
            "E703", None, f"optimiser='{LBFGS}' at fixed draws has no bound with the guide {guide.vector.name}",
            "use guide='mean_field'",
        )  # fmt: skip
