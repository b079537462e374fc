"""Every objective with every estimator, against the gradient of its exact expectation on a grid.

Models have one scalar latent, so that the expectation over K draws is a sum over K-tuples of grid points (of states,
where the latent is discrete); the gradient is taken by central differences. The mean over `REPEATS` estimates must
agree within 5 standard errors in every coordinate; 84 cases of one to three coordinates give a false alarm with a
probability of 1e-4 (seeds are fixed).
"""

import warnings
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import gamma, vonmises

from ppl.backends import get_backend
from ppl.errors import InferenceError, UncertainFitWarning
from ppl.guides.derived import GAUSSIAN
from ppl.inference.choose import choose_guide
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.numeric import NUMPY
from ppl.objectives import OBJECTIVES
from ppl.program import parse
from ppl.runtime import Executor

REPEATS = 400
POWERS = {"renyi": 0.5, "iwae": 1.0}
"""Of the objectives over several draws: the exponent of the weights."""


@dataclass(frozen=True)
class Case:
    """A program with one latent `z`, the grid of its values and the weights of the grid's points."""

    name: str
    program: str
    estimator: str
    grid: np.ndarray
    data: dict
    start: tuple = (0.4, -0.3, 0.2)

    @property
    def weights(self):
        return np.gradient(self.grid) if self.grid.dtype.kind == "f" else np.ones(len(self.grid))


LINE = np.linspace(-7.0, 7.0, 561)
HALF_LINE = np.exp(np.linspace(-9.0, 4.5, 700))
UNIT = 1.0 / (1.0 + np.exp(-np.linspace(-14.0, 14.0, 561)))
CIRCLE = np.linspace(-np.pi, np.pi, 401)[:-1]
REAL = "data y: real\n{note}\nz ~ normal(0.3, 1)\ny ~ normal(z, 0.7)"
POSITIVE = "data y: int\n{note}\nz ~ gamma(2, 1)\ny ~ poisson(z)"
CASES = (
    Case("block", REAL.format(note=""), "pathwise", LINE, {"y": 1.1}),
    Case("normal factor", REAL.format(note='@guide("normal")'), "pathwise", LINE, {"y": 1.1}),
    Case("scored normal", REAL.format(note="@score"), "score", LINE, {"y": 1.1}),
    Case("student_t factor", REAL.format(note='@guide("student_t")'), "implicit", np.linspace(-60, 60, 2401),
         {"y": 1.1}, (1.6, 0.4, -0.3)),
    Case("gamma factor", POSITIVE.format(note="@implicit"), "implicit", HALF_LINE, {"y": 3}),
    Case("scored gamma", POSITIVE.format(note='@score\n@guide("gamma")'), "score", HALF_LINE, {"y": 3}),
    Case("inverse gamma factor", POSITIVE.format(note='@guide("inverse_gamma")'), "implicit",
         np.exp(np.linspace(-6, 7.5, 700)), {"y": 3}, (1.3, 0.9)),
    Case("lognormal factor", POSITIVE.format(note='@guide("lognormal")'), "pathwise", HALF_LINE, {"y": 3}),
    Case("positive block", POSITIVE.format(note=""), "pathwise", HALF_LINE, {"y": 3}),
    Case("beta factor", "data y: int\n@implicit\nz ~ beta(2, 3)\ny ~ binomial(5, z)", "implicit", UNIT, {"y": 3}),
    Case("von Mises factor", "data y: real\n@implicit\nz ~ von_mises(0.5, 1.5)\ny ~ normal(sin(z), 0.5)",
         "implicit", CIRCLE, {"y": 0.8}),
    Case("bernoulli", "data y: real\n@score\nz ~ bernoulli(0.3)\ny ~ normal(2 * z, 1)", "score",
         np.arange(2), {"y": 1.4}),
    Case("categorical", "data y: real\n@score\nz ~ categorical([0.2, 0.3, 0.5])\ny ~ normal(z, 1)", "score",
         np.arange(3), {"y": 1.4}),
    Case("poisson", "data y: real\nz ~ poisson(3)\ny ~ normal(z, 1.5)", "score", np.arange(40), {"y": 4.0}),
)  # fmt: skip
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def planned(case):
    bound = parse(case.program, "case.ppl").bind(case.data)
    return bound, bound.plan()


def start_of(case, guide):
    return np.resize(np.array(case.start), guide.parameters.size)


def log_q_on(case, guide, parameters):
    """Log density of the guide at the grid, by the value itself, from SciPy."""
    from scipy import stats

    parts = guide.parameters.unpack(np, parameters)
    in_block = not guide.factors
    if in_block or guide.factors["z"].coordinate:
        loc, log_scale = parts[GAUSSIAN] if in_block else (parts["z:loc"], parts["z:scale"])
        coordinate, jacobian = (np.log(case.grid), np.log(case.grid)) if case.grid[0] > 0 else (case.grid, 0.0)
        return stats.norm(loc, np.exp(log_scale)).logpdf(coordinate) - jacobian
    factor = guide.factors["z"]
    given = guide.factor_parameters(NUMPY, parts, {}, {})["z"]
    reference = factor.distribution.reference(**given)
    return reference.logpmf(case.grid) if factor.distribution.discrete else reference.logpdf(case.grid)


def log_p_on(case, bound, plan):
    terms = Executor(plan, bound.data, NUMPY).density({"z": case.grid})
    return sum(np.broadcast_to(term, case.grid.shape) for term in terms.values())


def exact_gradient(case, bound, plan, guide, parameters, objective):
    """Of the expectation of the objective over all pairs of grid points; of the ELBO, over the points."""
    log_p, base = log_p_on(case, bound, plan), np.log(case.weights)

    def mass_and_weights(vector):
        log_q = log_q_on(case, guide, vector)
        return np.exp(log_q + base), log_p - log_q

    def expected(vector):
        mass, weights = mass_and_weights(vector)
        kept = mass > 0
        mass, weights = mass[kept], weights[kept]
        if objective not in POWERS:
            return float(mass @ weights)
        power = POWERS[objective]
        pairs = (np.logaddexp(power * weights[:, None], power * weights[None]) - np.log(2.0)) / power
        return float(mass @ pairs @ mass)

    steps = 1e-5 * np.eye(len(parameters))
    if objective != "forward_kl":
        return np.array([(expected(parameters + step) - expected(parameters - step)) / 2e-5 for step in steps])
    mass, weights = mass_and_weights(parameters)
    share = 1.0 / (1.0 + np.exp(weights[None] - weights[:, None]))  # of the first of a pair
    slopes = [(log_q_on(case, guide, parameters + s) - log_q_on(case, guide, parameters - s)) / 2e-5 for s in steps]
    return np.array([2.0 * float((mass * slope) @ share @ mass) for slope in slopes])


def estimates(bound, plan, guide, parameters, objective, draws, repeats, seed=0):
    backend = get_backend()
    executor = Executor(plan, bound.data, backend.xp)
    chosen = StochasticObjective(executor, guide, backend, OBJECTIVES[objective].make())
    rng = np.random.default_rng(seed)
    return -np.array(
        [chosen.value_and_grad(parameters, chosen.noise(rng, parameters, draws))[1] for _ in range(repeats)]
    )


def off_by(found, exact):
    """The largest difference of the mean from the exact gradient, in standard errors."""
    errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return float(np.max(np.abs(found.mean(axis=0) - exact) / np.maximum(errors, 1e-6 + 1e-6 * np.abs(exact))))


@pytest.mark.parametrize("objective", list(OBJECTIVES))
@EVERY_CASE
def test_the_mean_gradient_is_exact(case, objective):
    bound, plan = planned(case)
    assert plan.sites["z"].estimator == case.estimator
    guide = choose_guide(plan)
    parameters = start_of(case, guide)
    draws = 2 if OBJECTIVES[objective].make().weigh else 10
    found = estimates(bound, plan, guide, parameters, objective, draws, REPEATS)
    assert off_by(found, exact_gradient(case, bound, plan, guide, parameters, objective)) < 5


@pytest.mark.parametrize(
    ("name", "objective"), [("gamma factor", "elbo"), ("beta factor", "iwae"), ("von Mises factor", "stl")]
)
def test_a_broken_implicit_gradient_is_caught(name, objective, monkeypatch):
    """One that is twice too long fails the test above."""
    case = next(case for case in CASES if case.name == name)
    bound, plan = planned(case)
    guide = choose_guide(plan)
    factor = guide.factors["z"]
    right = factor.distribution.implicit
    wrong = replace(
        factor.distribution,
        implicit=lambda value, g, **given: {key: 2.0 * part for key, part in right(value, g, **given).items()},
    )
    monkeypatch.setattr(type(factor), "distribution", property(lambda self: wrong))
    parameters = start_of(case, guide)
    draws = 2 if OBJECTIVES[objective].make().weigh else 10
    found = estimates(bound, plan, guide, parameters, objective, draws, REPEATS)
    monkeypatch.undo()
    assert off_by(found, exact_gradient(case, bound, plan, guide, parameters, objective)) > 5


def test_bounds_are_ordered():
    """On a conjugate model: ELBO <= Rényi <= IWAE <= log evidence, and IWAE rises with its draws."""
    case = next(case for case in CASES if case.name == "block")
    bound, plan = planned(case)
    guide = choose_guide(plan)
    parameters = start_of(case, guide)
    mass = np.exp(log_q_on(case, guide, parameters)) * case.weights
    log_w = log_p_on(case, bound, plan) - log_q_on(case, guide, parameters)
    exact = float(mass @ log_w)

    def mean_value(objective, draws):
        chosen = StochasticObjective(
            Executor(plan, bound.data, NUMPY), guide, get_backend(), OBJECTIVES[objective].make()
        )
        rng = np.random.default_rng(1)
        weigh = OBJECTIVES[objective].make().weigh
        values = [
            weigh(chosen.log_weights(parameters, chosen.noise(rng, parameters, draws))).value for _ in range(3000)
        ]
        return float(np.mean(values))

    evidence = norm_logpdf(1.1, 0.3, np.sqrt(1.0 + 0.7**2))
    ordered = [exact, mean_value("renyi", 5), mean_value("iwae", 5), mean_value("iwae", 50), evidence]
    assert all(after - before > 0.003 for before, after in pairwise(ordered[:-1]))
    assert abs(ordered[3] - evidence) < 0.02


def norm_logpdf(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def test_sticking_the_landing_has_no_noise_at_the_optimum():
    case = next(case for case in CASES if case.name == "block")
    bound, plan = planned(case)
    guide = choose_guide(plan)
    precision = 1.0 + 1.0 / 0.49
    optimum = np.array([(0.3 + 1.1 / 0.49) / precision, -0.5 * np.log(precision)])
    landed = estimates(bound, plan, guide, optimum, "stl", 3, 50)
    sampled = estimates(bound, plan, guide, optimum, "sampled_elbo", 3, 50)
    assert np.max(np.abs(landed)) < 1e-12
    assert sampled.std(axis=0).max() > 0.1


def test_forward_kl_covers_two_modes_and_the_elbo_one():
    """The target has modes at -2 and 2: forward KL matches its sd, about 2.06, the reverse one mode's, 0.5."""
    program = parse("z ~ mixture([0.5, 0.5], normal(-2, 0.5), normal(2, 0.5))")
    options = {"guide": "mean_field", "method": "adam", "gradient_draws": 20, "steps": 4000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainFitWarning)
        wide = program.fit({}, objective="forward_kl", **options)
        narrow = program.fit({}, objective="elbo", **options)
    assert abs(float(wide.sd("z")) - np.sqrt(4.25)) < 0.25
    assert float(narrow.sd("z")) < 0.8


CLOSED = {
    "normal": "mu ~ normal(1, 2)\n x ~ normal(mu, 0.7)\n y ~ normal(x, 1)",
    "gamma through exp": "x ~ gamma(2, 1.5)\n y ~ normal(0, x)",
    "inverse gamma through exp": "x ~ inverse_gamma(2, 1.5)\n y ~ normal(0, x)",
    "exponential through exp": "s ~ lognormal(0, 0.5)\n x ~ exponential(s)\n y ~ normal(0, x)",
    "half-normal through exp": "s ~ half_normal(2)\n x ~ half_normal(s)\n y ~ normal(0, x)",
    "gamma factor": 's ~ gamma(3, 2)\n @guide("gamma")\n x ~ gamma(2, s)\n y ~ normal(0, x)',
    "beta factor": '@guide("beta")\n x ~ beta(2, 1.5)\n y ~ normal(0, x)',
    "dirichlet factors": '@guide("dirichlet")\n w[k in 2] ~ dirichlet([1.5, 2, 1])\n x = w[0, 1]\n y ~ normal(0, x)',
    "standardised": "s ~ half_normal(1)\n @noncentered\n x[k in 3] ~ normal(1, s)\n y ~ normal(sum(x), 1)",
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_terms_have_the_sampled_ones_mean(name):
    """The values and the gradients; both objectives are the same function. 20,000 draws; 5 standard errors."""
    bound = parse("data y: real\n" + "\n".join(line.strip() for line in CLOSED[name].split("\n"))).bind({"y": 0.8})
    plan = bound.plan()
    guide = choose_guide(plan, "mean_field")
    assert guide.closed
    parameters = np.resize(np.array([0.3, -0.4, 0.5, 0.1]), guide.parameters.size)
    found = {}
    for objective in ("elbo", "sampled_elbo"):
        backend = get_backend()
        executor = Executor(plan, bound.data, backend.xp)
        chosen = StochasticObjective(executor, guide, backend, OBJECTIVES[objective].make())
        rng = np.random.default_rng(3)
        parts = [chosen.value_and_grad(parameters, chosen.noise(rng, parameters, 500)) for _ in range(40)]
        found[objective] = np.array([np.append(gradient, value) for value, gradient in parts])
    difference = found["elbo"] - found["sampled_elbo"]
    error = np.maximum(difference.std(axis=0, ddof=1) / np.sqrt(len(difference)), 1e-9)
    assert np.max(np.abs(difference.mean(axis=0)) / error) < 5


def test_a_block_with_correlations_keeps_its_own_parents_sampled():
    plan = parse("mu ~ normal(0, 1)\nx ~ normal(mu, 1)\ny ~ normal(x, 1)").bind({}).plan()
    assert set(choose_guide(plan, "full_rank").closed) == {"mu"}
    assert set(choose_guide(plan, "mean_field").closed) == {"mu", "x", "y"}


def test_an_angle_in_a_model_with_a_jump_is_refused():
    jumping = parse("data y: real\n@implicit\nz ~ von_mises(0.5, 1.5)\ny ~ normal(z, 0.5)")
    with pytest.raises(InferenceError) as caught:
        jumping.fit({"y": 0.3}, method="adam")
    assert caught.value.diagnostics[0].code == "E707"
    assert "jumps" in str(caught.value)


def test_a_von_mises_site_with_learned_concentration_fits():
    """Against the moments of the exact posterior of angle and concentration on a grid."""
    angles = np.array([0.7, 1.4, 0.9, 1.9, 0.2, 1.1])
    program = parse("""
        data N: int
        data y: real[N]
        @implicit
        direction ~ von_mises(0, 0.5)
        k ~ gamma(2, 0.5)
        y ~ von_mises(direction, k)
    """)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainFitWarning)
        fit = program.fit({"N": 6, "y": angles}, method="adam", seed=1)
    where, size = np.meshgrid(np.linspace(-np.pi, np.pi, 400), np.linspace(0.01, 30, 1500), indexing="ij")
    log_p = vonmises.logpdf(where, 0.5) + gamma.logpdf(size, 2, scale=2)
    log_p = log_p + sum(vonmises.logpdf(angle, size, where) for angle in angles)
    mass = np.exp(log_p - log_p.max())
    mass /= mass.sum()
    mean = float((mass * where).sum())
    sd = float(np.sqrt((mass * (where - mean) ** 2).sum()))
    assert abs(float(fit.mean("direction")) - mean) < 0.1 * sd
    assert abs(float(fit.sd("direction")) / sd - 1.0) < 0.25  # mean field, a von Mises shape
    assert abs(float(fit.mean("k")) - float((mass * size).sum())) < 0.35
