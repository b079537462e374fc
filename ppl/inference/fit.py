"""One fit, top to bottom: choose guide and method, optimise, draw, judge."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.backends import get_backend
from ppl.errors import ModelError
from ppl.guides import Guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.choose import choose_guide
from ppl.inference.progress import Progress
from ppl.inference.result import InferenceResult
from ppl.inference.start import finite_starts, initial_parameters
from ppl.inference.stochastic import AdamOptions, ElboObjective, minimise
from ppl.inference.verdict import judge
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.objectives.elbo import elbo_draws
from ppl.runtime import Executor, cost_values


def run_fit(
    plan: Plan,
    data: Mapping[str, Any],
    guide: str = "auto",
    method: str = "auto",
    seed: int = 0,
    draws: int = 4000,
    progress: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> InferenceResult:
    """Fit a plan to its data; see `ppl.program.Program.fit`."""
    began = time.perf_counter()
    chosen = choose_guide(plan, guide)
    rng = np.random.default_rng(seed)
    settings = _adam_options(options or {})
    backend = get_backend()
    plain = Executor(plan, data, NUMPY)
    start = _start(plan, data, chosen, plain, rng)
    objective = ElboObjective(Executor(plan, data, backend.xp), chosen, backend)
    with Progress(settings.steps, progress) as bar:
        found = minimise(objective, chosen, start, rng, settings, bar)
    values, elbos, log_weights = _draw(plain, chosen, found.parameters, rng, draws)
    verdict, log_evidence = judge(plan, found.converged, found.stopped, log_weights)
    points = {name: np.asarray(v) for name, v in plain.points(chosen.parameters.unpack(np, found.parameters)).items()}
    return InferenceResult(
        plan=plan,
        guide=chosen,
        parameters=found.parameters,
        method="adam",
        values=values,
        log_weights=None,
        points=points,
        elbo=float(elbos.mean()),
        elbo_mcse=float(elbos.std() / np.sqrt(draws)),
        log_evidence=log_evidence,
        history=found.history,
        steps=len(found.history),
        seconds=time.perf_counter() - began,
        converged=found.converged,
        stopped=found.stopped,
        verdict=verdict,
        seed=seed,
    )


def _adam_options(options: Mapping[str, Any]) -> AdamOptions:
    try:
        return AdamOptions(**options)
    except TypeError:
        known = ", ".join(AdamOptions.__dataclass_fields__)
        unknown = ", ".join(sorted(set(options) - set(AdamOptions.__dataclass_fields__)))
        raise ModelError.of("E703", None, f"unknown option {unknown}", f"the method takes {known}") from None


def _start(plan: Plan, data: Mapping[str, Any], guide: Guide, plain: Executor, rng: np.random.Generator) -> np.ndarray:
    """Guide parameters around the best of a few finite starting points."""
    mean = finite_starts(plan, data, guide, rng, 1)[0]
    parts = guide.parameters.unpack(np, initial_parameters(guide, plain, rng))
    parts[GAUSSIAN] = guide.gaussian.initial(mean, np.full(len(mean), 0.1))
    return guide.parameters.pack(parts)


def _draw(
    plain: Executor, guide: Guide, parameters: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Values of the latents, one ELBO estimate and one log importance ratio for each draw."""
    noise = guide.noise(rng, parameters, draws)
    with np.errstate(all="ignore"):
        trace = plain.trace(guide, parameters, noise)
        elbos = np.broadcast_to(elbo_draws(NUMPY, trace, cost_values(guide.plan, trace)), (draws,))
        parts = guide.parameters.unpack(np, parameters)
        vector = guide.gaussian.transform(NUMPY, parts[GAUSSIAN], noise.normal)
        ratios = elbos - trace.entropy - guide.gaussian.log_density(NUMPY, parts[GAUSSIAN], vector)
    values = {name: np.asarray(record.value) for name, record in trace.records.items() if record.value is not None}
    return values, elbos, ratios
