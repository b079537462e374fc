"""The score-function estimator against the exact gradient, by enumeration of all configurations.

A model's discrete sites are all marked `@score`. The exact ELBO is a finite sum; its gradient is taken by central
differences. The estimator's mean over `REPEATS` independent evaluations must agree with it to within 5 standard errors
in every coordinate: a false alarm for a model of 20 coordinates has a probability of about 1e-5 (seeds are fixed).
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.objectives import OBJECTIVES
from ppl.program import parse
from ppl.runtime import Executor

REPEATS, DRAWS = 300, 10


@dataclass(frozen=True)
class Case:
    """`states` has the shape and the number of states of every scored site."""

    name: str
    program: str
    data: dict
    states: dict


SCALAR = Case(
    "scalar",
    """
    data y: real
    @score
    z ~ bernoulli(0.3)
    y ~ normal(2 * z, 1)
    """,
    {"y": 1.4},
    {"z": ((), 2)},
)
PLATED = Case(
    "plated",
    """
    data N: int
    data y: real[N]
    plate n in N {
      @score
      z[n] ~ categorical([0.2, 0.3, 0.5])
      y[n] ~ normal(z[n], 1)
    }
    """,
    {"N": 4, "y": [0.2, 1.3, 2.5, 0.7]},
    {"z": ((4,), 3)},
)
NESTED = Case(
    "nested plates, one site in each",
    """
    data I, J: int
    data y: real[I, J]
    plate i in I {
      @score
      z[i] ~ bernoulli(0.4)
      plate j in J {
        @score
        c[i, j] ~ bernoulli(0.2 + 0.5 * z[i])
        y[i, j] ~ normal(2 * c[i, j] + z[i], 1)
      }
    }
    """,
    {"I": 2, "J": 3, "y": [[0.1, 2.2, 0.4], [1.0, 3.0, 2.4]]},
    {"z": ((2,), 2), "c": ((2, 3), 2)},
)
TRANSPOSED = Case(
    "a site indexed against the order of its plates",
    """
    data I, J: int
    data y: real[I, J]
    plate i in I {
      plate j in J {
        @score
        c[j, i] ~ bernoulli(0.3)
        y[i, j] ~ normal(3 * c[j, i], 1)
      }
    }
    """,
    {"I": 3, "J": 3, "y": [[0.1, 2.2, 0.4], [1.0, 3.0, 2.4], [0.0, -1.0, 4.0]]},
    {"c": ((3, 3), 2)},
)
GATHERED = Case(
    "looked up by index",
    """
    data G, N: int
    data group: index(G)[N]
    data y: real[N]
    plate g in G {
      @score
      z[g] ~ bernoulli(0.4)
    }
    plate n in N {
      y[n] ~ normal(2 * z[group[n]], 1)
    }
    """,
    {"G": 3, "N": 5, "group": [0, 2, 2, 0, 1], "y": [0.4, 1.9, 2.2, -0.3, 1.1]},
    {"z": ((3,), 2)},
)
SAME_LENGTH = Case(
    "looked up by a permutation inside its own plate",
    """
    data N: int
    data other: index(N)[N]
    data y: real[N]
    plate n in N {
      @score
      z[n] ~ bernoulli(0.4)
    }
    plate n in N {
      y[n] ~ normal(2 * z[other[n]], 1)
    }
    """,
    {"N": 3, "other": [1, 2, 0], "y": [0.4, 2.9, -0.7]},
    {"z": ((3,), 2)},
)
CHAINED = Case(
    "two layers that feed each other",
    """
    data N: int
    data y: bool[N]
    @score
    top[k in 2] ~ bernoulli(0.5)
    plate n in N {
      @score
      middle[n] ~ bernoulli(logits = 2 * top[0] - 1.5 * top[1] + 0.3)
      y[n] ~ bernoulli(0.9 if middle[n] else 0.2)
    }
    """,
    {"N": 3, "y": [1, 0, 1]},
    {"top": ((2,), 2), "middle": ((3,), 2)},
)
THROUGH = Case(
    "through a deterministic statement and a sum over the plate",
    """
    data N: int
    data y: real[N]
    data total: real
    plate n in N {
      @score
      z[n] ~ bernoulli(0.4)
      shifted[n] = 2 * z[n] - 0.5
      y[n] ~ normal(shifted[n], 1)
    }
    total ~ normal(sum(shifted), 1)
    """,
    {"N": 3, "y": [0.4, 1.9, -0.7], "total": 1.2},
    {"z": ((3,), 2)},
)
BESIDE = Case(
    "beside enumerated sites that are summed out",
    """
    data I, J: int
    data y: real[I, J]
    plate i in I {
      @score
      z[i] ~ bernoulli(0.4)
      mode[i] ~ categorical([0.2, 0.3, 0.5])
      plate j in J {
        spike[i, j] ~ bernoulli(0.1 + 0.3 * z[i])
        y[i, j] ~ normal(mode[i] + 3 * spike[i, j] - z[i], 1)
      }
    }
    """,
    {"I": 3, "J": 2, "y": [[0.1, 2.2], [1.0, 3.0], [-0.6, 4.1]]},
    {"z": ((3,), 2)},
)
CASES = (SCALAR, PLATED, NESTED, TRANSPOSED, GATHERED, SAME_LENGTH, CHAINED, THROUGH, BESIDE)
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def planned(case):
    bound = parse(case.program, "case.ppl").bind({name: np.asarray(v) for name, v in case.data.items()})
    return bound, bound.plan()


def layout(guide):
    """Where each factor's parameters stand in the flat vector."""
    found = {}
    for entry in guide.parameters.entries:
        found[entry.name.split(":")[0]] = (entry.start, entry.stop, entry.shape)
    return found


def exact_gradient(case, guide, parameters):
    """Gradient of `sum over z of q(z) (log p(z, data) - log q(z))`, by central differences of the exact sum."""
    program = parse(case.program)
    spaces = [itertools.product(range(k), repeat=int(np.prod(shape))) for shape, k in case.states.values()]
    drawn = [
        {n: np.reshape(c, shape).astype(int) for (n, (shape, _)), c in zip(case.states.items(), chosen, strict=True)}
        for chosen in itertools.product(*spaces)
    ]
    log_p = np.array([program.log_density(values, case.data) for values in drawn])
    where = layout(guide)

    def log_q(vector):
        total = np.zeros(len(drawn))
        for name, (shape, states) in case.states.items():
            start, stop, entry = where[name]
            part = vector[start:stop].reshape(entry)
            logits = np.stack([np.zeros(shape), part], axis=-1) if states == 2 and entry == shape else part
            log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            picked = np.array([np.take_along_axis(log_probs, d[name][..., None], axis=-1).sum() for d in drawn])
            total = total + picked
        return total

    def elbo(vector):
        q = log_q(vector)
        return float(np.sum(np.exp(q) * (log_p - q)))

    steps = 1e-5 * np.eye(len(parameters))
    return np.array([(elbo(parameters + step) - elbo(parameters - step)) / 2e-5 for step in steps])


def start_of(guide):
    size = max(stop for _, stop, _ in layout(guide).values())
    return np.random.default_rng(8).normal(0.0, 0.8, size)


def gradients(bound, plan, draws=DRAWS, repeats=REPEATS, seed=0, objective="elbo", baseline="leave_one_out"):
    """Independent gradient estimates, (repeats, parameters), with the guide and the point they are at."""
    guide = choose_guide(plan)
    backend = get_backend()
    objective = StochasticObjective(
        Executor(plan, bound.data, backend.xp), guide, backend, OBJECTIVES[objective].make(), baseline
    )
    parameters = start_of(guide)
    rng = np.random.default_rng(seed)
    start = objective.start(parameters, objective.noise(rng, parameters, 50))
    found = []
    for _ in range(repeats):
        noise = objective.noise(rng, parameters, draws)
        found.append(-objective.value_and_grad(start, noise)[1])
    return np.array(found), guide, parameters


def off_by(estimates, exact):
    """The largest difference of the mean from the exact gradient, in standard errors."""
    errors = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    return float(np.max(np.abs(estimates.mean(axis=0) - exact) / np.maximum(errors, 1e-10)))


@EVERY
def test_the_mean_gradient_is_exact(case):
    bound, plan = planned(case)
    assert {site.name for site in plan.scored} == set(case.states)
    estimates, guide, parameters = gradients(bound, plan)
    assert off_by(estimates, exact_gradient(case, guide, parameters)) < 5


@pytest.mark.parametrize("draws", [1, 2])
def test_with_few_draws_too(draws):
    """One draw has no baseline, two are each other's."""
    bound, plan = planned(NESTED)
    estimates, guide, parameters = gradients(bound, plan, draws, 1000)
    assert off_by(estimates, exact_gradient(NESTED, guide, parameters)) < 5


@pytest.mark.parametrize("objective", ["sampled_elbo", "stl"])
@pytest.mark.parametrize("case", [PLATED, NESTED, CHAINED], ids=lambda case: case.name)
def test_objectives_with_the_same_optimum_have_the_same_gradient(case, objective):
    bound, plan = planned(case)
    estimates, guide, parameters = gradients(bound, plan, objective=objective)
    assert off_by(estimates, exact_gradient(case, guide, parameters)) < 5


@pytest.mark.parametrize("baseline", ["learned", "none"])
def test_other_baselines_leave_the_mean_alone(baseline):
    bound, plan = planned(NESTED)
    estimates, guide, parameters = gradients(bound, plan, repeats=1000, baseline=baseline)
    assert off_by(estimates[:, : len(parameters)], exact_gradient(NESTED, guide, parameters)) < 5


def test_elements_beyond_ragged_ends_do_not_count():
    """Three elements in a ragged plate, and the same three in a plain one."""
    flat = Case(
        "flat",
        "data N: int\ndata y: real[N]\nplate n in N {\n@score\nz[n] ~ bernoulli(0.4)\ny[n] ~ normal(2 * z[n], 1)\n}",
        {"N": 3, "y": [0.3, 1.9, -0.6]},
        {"z": ((3,), 2)},
    )
    ragged = replace(
        flat,
        program="""
        data S, T: int
        data len: int[S]
        data y: real[S, T]
        plate s in S {
          plate t in len[s] {
            @score
            z[s, t] ~ bernoulli(0.4)
            y[s, t] ~ normal(2 * z[s, t], 1)
          }
        }
        """,
        data={"len": [2, 1], "S": 2, "T": 2, "y": [[0.3, 1.9], [-0.6, 50.0]]},
    )
    bound, plan = planned(flat)
    exact = exact_gradient(flat, choose_guide(plan), start_of(choose_guide(plan))[:3])
    bound, plan = planned(ragged)
    estimates, *_ = gradients(bound, plan)
    assert off_by(estimates[:, :3], exact) < 5
    assert np.all(estimates[:, 3] == 0.0)


def broken(plan, name):
    """A plan that has forgotten that the cost `name` depends on anything."""
    costs = [replace(cost, depends=frozenset()) if cost.name == name else cost for cost in plan.costs]
    assert costs != list(plan.costs)
    return replace(plan, costs=tuple(costs))


def too_local(plan, name, site):
    """A plan that takes a cost to be local along all plates of a site, which it looks up."""
    axes = plan.sites[site].axes
    costs = [replace(cost, local={site: axes}) if cost.name == name else cost for cost in plan.costs]
    return replace(plan, costs=tuple(costs))


@pytest.mark.parametrize(
    ("case", "cost"),
    [(SCALAR, "y"), (PLATED, "y"), (NESTED, "c"), (GATHERED, "y"), (CHAINED, "middle"), (BESIDE, "mode, spike, y")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_dropped_downstream_cost_is_caught(case, cost):
    bound, plan = planned(case)
    estimates, guide, parameters = gradients(bound, broken(plan, cost))
    assert off_by(estimates, exact_gradient(case, guide, parameters)) > 8


def test_false_locality_is_caught():
    bound, plan = planned(SAME_LENGTH)
    estimates, guide, parameters = gradients(bound, too_local(plan, "y", "z"))
    assert off_by(estimates, exact_gradient(SAME_LENGTH, guide, parameters)) > 8


def plain(plan):
    """Without Rao-Blackwellisation: every cost weighs on every element of every site."""
    every = frozenset(site.name for site in plan.scored)
    return replace(plan, costs=tuple(replace(cost, depends=cost.depends | every, local={}) for cost in plan.costs))


@pytest.mark.parametrize("case", [PLATED, NESTED, TRANSPOSED, CHAINED, BESIDE], ids=lambda case: case.name)
def test_rao_blackwellisation_lowers_the_variance(case):
    """The sum of the variances, estimated to about 10% by 300 repeats; the drop is by far larger."""
    bound, plan = planned(case)
    local, guide, parameters = gradients(bound, plan)
    whole, *_ = gradients(bound, plain(plan))
    assert off_by(whole, exact_gradient(case, guide, parameters)) < 5
    assert local.var(axis=0).sum() < 0.8 * whole.var(axis=0).sum()
