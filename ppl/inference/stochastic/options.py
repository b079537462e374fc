"""The options of a stochastic fit, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ppl.errors import InferenceError
from ppl.estimators.score_function import BASELINES
from ppl.inference.stochastic.optimisers import LBFGS, OPTIMISERS
from ppl.inference.stochastic.schedules import SCHEDULES
from ppl.objectives import OBJECTIVES, Objective
from ppl.source import nearest


@dataclass(frozen=True)
class StochasticOptions:
    """`steps` at most, `gradient_draws` Monte Carlo draws a step, first step size `rate` (0: the optimiser's own),
    `window` of the convergence check.

    `objective`, `baseline`, `optimiser`, `schedule` and `stop` are words: `ppl list` has objectives, optimisers and
    schedules; a baseline is "leave_one_out", "learned" or "none"; a stage of the schedule stops by the "elbo" or the
    "iterates". `alpha` is the order of a Rényi bound. `param_rate` is the first step size of learned parameters (0: as
    `rate`), `net_rate` that of the weights of networks. The rate rises over the first `warmup` steps; gradients are cut
    to the length `clip`; `average` has the parameters of the last windows averaged. Every so many minutes (`every`) the
    run is written to the file `checkpoint`, from which an equal fit goes on.
    """

    steps: int = 20_000
    gradient_draws: int = 10
    rate: float = 0.0
    param_rate: float = 0.0
    net_rate: float = 0.002
    window: int = 500
    objective: str = "elbo"
    alpha: float = 0.5
    baseline: str = "leave_one_out"
    optimiser: str = "adam"
    schedule: str = "staged"
    stop: str = "elbo"
    warmup: int = 0
    clip: float = 1e4
    average: bool = True
    checkpoint: str = ""
    every: float = 5.0

    @property
    def first_rate(self) -> float:
        return self.rate or OPTIMISERS[self.optimiser].rate


WORDS: dict[str, Sequence[str]] = {
    "objective": tuple(OBJECTIVES),
    "baseline": BASELINES,
    "optimiser": (*OPTIMISERS, LBFGS),
    "schedule": tuple(SCHEDULES),
    "stop": ("elbo", "iterates"),
}
MAY_BE_ZERO = ("rate", "param_rate", "warmup")
KNOWN = tuple(each.name for each in fields(StochasticOptions))


def objective_of(options: StochasticOptions) -> Objective:
    """The objective of that name, with its own options."""
    kind = OBJECTIVES[options.objective]
    return kind.make(**{name: getattr(options, name) for name in kind.options})


def stochastic_options(options: Mapping[str, Any]) -> StochasticOptions:
    """Checked options. Raises InferenceError for one that is not known or has no meaning."""
    for name in options:
        if name not in KNOWN:
            near = nearest(name, KNOWN)
            expected = f"did you mean `{near}`?" if near else f"a stochastic fit takes {', '.join(KNOWN)}"
            raise InferenceError.of("E703", None, f"unknown option {name}", expected)
    for name, value in options.items():
        _check(name, value)
    chosen = StochasticOptions(**options)
    if "alpha" in options and "alpha" not in OBJECTIVES[chosen.objective].options:
        raise InferenceError.of("E703", None, f"the objective {chosen.objective} takes no alpha", "renyi does")
    if chosen.optimiser == LBFGS:
        _check_quasi_newton(options)
    if objective_of(chosen).weigh is not None and "baseline" in options:
        found = f"the objective {chosen.objective} has weights of its own for scored sites and takes no baseline"
        raise InferenceError.of("E703", None, found, "leave `baseline` out, or use the objective elbo, which takes one")
    return chosen


def _check(name: str, value: Any) -> None:
    if name in WORDS:
        if value not in WORDS[name]:
            near = nearest(str(value), WORDS[name])
            expected = f"did you mean {near!r}?" if near else f"there are {', '.join(WORDS[name])}"
            raise InferenceError.of("E703", None, f"no {name} {value!r}", expected)
        return
    fits, expected = _KINDS.get(name, _KINDS[""])
    if not fits(value):
        raise InferenceError.of("E703", None, f"{name} is {value!r}", expected)
    if name not in ("alpha", "average", "checkpoint") and (value < 0 or (value == 0 and name not in MAY_BE_ZERO)):
        raise InferenceError.of("E703", None, f"{name} is {value}", "it must be positive")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("steps", "gradient_draws", "window", "warmup"), (_whole, "a whole number is expected")),
    "average": (lambda value: isinstance(value, bool), "True or False is expected"),
    "checkpoint": (lambda value: isinstance(value, str | os.PathLike), "the path of a file is expected"),
    "": (_number, "a number is expected"),
}


STEPWISE = frozenset({"rate", "param_rate", "net_rate", "schedule", "warmup", "clip", "checkpoint", "every"})
"""What only steps along single gradients take."""


def options_of_descent(options: Mapping[str, Any]) -> bool:
    """Whether something was asked for that says how single steps are taken, or how many."""
    return bool(options.keys() & (STEPWISE | {"optimiser", "steps", "window", "stop", "average", "baseline"}))


def _check_quasi_newton(options: Mapping[str, Any]) -> None:
    """L-BFGS finds its own steps."""
    useless = sorted(options.keys() & STEPWISE)
    if useless:
        raise InferenceError.of("E703", None, f"lbfgs takes no {', '.join(useless)}", "it finds its own step sizes")


def without_options(method: str) -> InferenceError:
    """What to say of options to a method that takes none."""
    found = f"{method}: a deterministic fit takes no options"
    return InferenceError.of("E703", None, found, f"method='stochastic' takes {', '.join(KNOWN)}")


def options_without_files(options: StochasticOptions) -> StochasticOptions:
    """The options as far as they say where a run goes."""
    unending = SCHEDULES[options.schedule].staged or options.schedule == "constant"
    steps = 0 if unending else options.steps
    return replace(options, checkpoint="", every=0.0, steps=steps)
