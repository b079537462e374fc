"""What each family is for: posteriors that show it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import ppl
from ppl.backends import get_backend
from ppl.guides import derive_guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.choose import choose_guide, choose_methods
from ppl.inference.families.score_matching import fit_score_matching, matched
from ppl.inference.fit import run_fit
from ppl.inference.importance.sampling import Proposal
from ppl.inference.progress import Progress
from ppl.inference.stochastic.descent import StochasticOptions, minimise
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.numeric import NUMPY
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

BANANA = "data y: real\na ~ normal(0, 1)\nb ~ normal(0, 4)\ny ~ normal(b - 1.5 * a^2, 0.4)\n"
TWO = """
x ~ normal(0, 3)
v ~ normal(0, 1)
factor modes = log_sum_exp([log(0.7) + logpdf(normal(2.5, 0.5), x), log(0.3) + logpdf(normal(-2.5, 0.5), x)])
"""


def fitted(source, data, guide, method="auto", **options):
    bound = ppl.parse(source).bind(data)
    return run_fit(bound.plan(), bound.data, guide, method, progress=False, options=options)


def test_a_mixture_finds_both_modes_with_their_weights():
    """The prior weighs both modes alike, so their weights are 0.7 and 0.3."""
    result = fitted(TWO, {}, "mixture")
    family = result.guide.vector
    shares = np.sort(family.weights(result.guide.parameters.unpack(np, result.parameters)[GAUSSIAN]))
    assert shares == pytest.approx([0.3, 0.7], rel=0.05)
    assert result.verdict.level == "trusted"
    weights = np.exp(result.log_weights)
    assert weights[result.values["x"] < 0].sum() == pytest.approx(0.3, rel=0.05)
    assert result.elbo == pytest.approx(result.log_evidence, abs=0.01)
    assert any("2 separate modes found" in note for note in result.notes)


def test_a_mixture_by_adam_moves_its_weights():
    """From wide components on, stochastic gradients alone: the score function drives the weights."""
    bound = ppl.parse(TWO).bind({})
    plan, backend = bound.plan(), get_backend()
    guide = derive_guide(plan, "mixture")
    objective = StochasticObjective(Executor(plan, bound.data, backend.xp), guide, backend, OBJECTIVES["stl"].make())
    means, factors = np.array([[2.0, 0.0], [-2.0, 0.0]]), [np.eye(2)] * 2
    start = guide.parameters.pack({GAUSSIAN: guide.vector.pack(np.array([0.5, 0.5]), means, factors)})
    options = StochasticOptions(steps=3000, gradient_draws=20, rate=0.05)
    with Progress(False) as bar:
        found = minimise(objective, guide, start, np.random.default_rng(0), options, bar)
    shares = guide.vector.weights(guide.parameters.unpack(np, found.parameters)[GAUSSIAN])
    assert shares == pytest.approx([0.7, 0.3], abs=0.02)
    assert found.history[-500:].mean() == pytest.approx(fitted(TWO, {}, "mixture").log_evidence, abs=0.02)


def test_a_mixture_says_so_where_it_has_fewer_components_than_modes():
    result = fitted(TWO, {}, "mixture", components=1)
    assert any("1 of the 2 separate modes found have no component" in reason for reason in result.verdict.reasons)


def test_a_flow_follows_a_curved_posterior_where_a_gaussian_does_not():
    flow, gaussian = fitted(BANANA, {"y": 0.0}, "flow"), fitted(BANANA, {"y": 0.0}, "structured")
    assert flow.elbo > gaussian.elbo + 0.5
    assert flow.elbo == pytest.approx(flow.log_evidence, abs=0.05)
    assert flow.verdict.khat < 0.5 < gaussian.verdict.khat
    assert flow.verdict.level == "trusted"
    # by one dimension at a time: b given a is normal, a has a density on a grid
    grid = np.linspace(-6, 6, 2001)
    marginal = stats.norm.pdf(grid) * stats.norm.pdf(1.5 * grid**2, 0.0, np.hypot(4.0, 0.4))
    marginal /= marginal.sum()
    weights = np.exp(flow.log_weights)
    assert weights @ flow.values["a"] ** 2 == pytest.approx(marginal @ grid**2, rel=0.05)


def test_laplace_stands_at_the_mode_with_its_curvature():
    """A gamma posterior in its logarithm: mode log(shape / rate), curvature shape."""
    result = fitted("x ~ gamma(6, 2)", {}, "laplace")
    mean, covariance = result.guide.vector.moments(result.guide.parameters.unpack(np, result.parameters)[GAUSSIAN])
    assert mean == pytest.approx(np.log(3.0), abs=1e-4)
    assert covariance == pytest.approx(1.0 / 6.0, rel=1e-3)
    assert np.exp(result.log_weights) @ result.values["x"] == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("guide", ["flow", "laplace", "low_rank", "structured"])
def test_a_guide_at_one_mode_says_that_there_is_another(guide):
    """Its draws come nowhere near that one, so that their weights alone look well."""
    verdict = fitted(TWO, {}, guide).verdict
    assert verdict.level != "trusted"
    assert any("misses one with about" in reason and "guide='mixture'" in reason for reason in verdict.reasons)


def test_points_are_the_mode_on_the_scale_of_the_values():
    """The mode of gamma(6, 2) is 5 / 2; in its logarithm it would be 3."""
    result = fitted("x ~ gamma(6, 2)\ny ~ normal(x, 1)", {}, "point")
    assert float(result.points["x"]) == pytest.approx(2.5, abs=1e-4)
    assert float(result.points["y"]) == pytest.approx(2.5, abs=1e-4)
    assert result.verdict.level == "care"
    assert result.verdict.khat is None
    assert any("no standard deviations" in reason for reason in result.verdict.reasons)


def test_points_sum_discrete_sites_out():
    source = "data y: real\nw ~ beta(3, 2)\nz ~ bernoulli(w)\ny ~ normal(z, 0.1)\n"
    result = fitted(source, {"y": 1.0}, "point")
    assert float(result.points["w"]) == pytest.approx(3.0 / 4.0, abs=1e-3)  # beta(4, 2)
    assert result.values["z"].mean() == pytest.approx(1.0)


def test_points_at_the_end_of_a_range_are_named():
    result = fitted("x ~ exponential(1)", {}, "point")
    assert any("`x` is at the end of its range" in reason for reason in result.verdict.reasons)


COMMON = """
data N: int
data y: real[N]
m ~ normal(0, 1)
plate n in N {
  x[n] ~ normal(m, 1)
  y[n] ~ normal(x[n], 3)
}
"""


@pytest.mark.parametrize("guide", ["low_rank", "structured"])
def test_many_unknowns_with_one_in_common(guide):
    """More than a dense covariance is made for. Both families hold the posterior, so the ELBO is the evidence."""
    count, rng = 1600, np.random.default_rng(0)
    y = rng.normal(0.8, 1.2, count)
    result = fitted(COMMON, {"N": count, "y": y}, guide)
    # y ~ N(0, 1 1' + 10 I)
    square = (np.sum(y**2) - np.sum(y) ** 2 / (10.0 + count)) / 10.0
    evidence = -0.5 * (square + count * np.log(20.0 * np.pi) + np.log1p(count / 10.0))
    assert result.converged
    assert result.verdict.level == "trusted"
    assert result.elbo == pytest.approx(evidence, abs=0.05)
    mean, variance = result.guide.vector.marginals(
        NUMPY, result.guide.parameters.unpack(np, result.parameters)[GAUSSIAN]
    )
    exact = 1.0 / (1.0 + count / 10.0)
    assert variance[0] == pytest.approx(exact, rel=0.05)
    assert mean[0] == pytest.approx(exact * y.sum() / 10.0, abs=0.1 * np.sqrt(exact))


def test_structured_is_as_good_as_full_rank():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(0.5, 1.5, 40)}
    source = """
data y: real[40]
mu ~ normal(0, 2)
s ~ half_normal(1)
plate j in 40 {
  a[j] ~ normal(mu, 1)
  y[j] ~ normal(a[j], s)
}
"""
    structured, full = fitted(source, data, "structured"), fitted(source, data, "full_rank")
    assert structured.elbo > full.elbo - 0.1
    size = structured.guide.vector.size(structured.guide.layout.size)
    assert size < full.guide.vector.size(full.guide.layout.size) / 4


GROUPED = """
data y: real
@fullrank("effects")
a[i in 2] ~ normal(0, 1)
@fullrank("effects")
b ~ normal(0, 1)
c ~ normal(0, 1)
y ~ normal(a[0] + a[1] + b + c, 0.3)
"""


def test_a_noted_group_has_its_covariance_under_mean_field():
    plan = ppl.parse(GROUPED).bind({"y": 1.0}).plan()
    guide = derive_guide(plan, "mean_field")
    assert [block.guide.name for block in guide.vector.blocks] == ["full_rank", "mean_field"]
    noted = fitted(GROUPED, {"y": 1.0}, "mean_field")
    plain = fitted(GROUPED.replace('@fullrank("effects")\n', ""), {"y": 1.0}, "mean_field")
    full = fitted(GROUPED, {"y": 1.0}, "full_rank")
    assert plain.elbo + 0.3 < noted.elbo < full.elbo - 0.1
    _, covariance = guide.vector.moments(noted.guide.parameters.unpack(np, noted.parameters)[GAUSSIAN])
    precision = np.eye(4) + 1.0 / 0.09
    np.testing.assert_allclose(covariance[:3, :3], np.linalg.inv(precision[:3, :3]), rtol=0.05, atol=0.01)
    assert not covariance[3, :3].any()


def test_a_low_rank_note_makes_a_block():
    source = GROUPED.replace('@fullrank("effects")\na[i', "@lowrank(1)\na[i").replace('@fullrank("effects")\n', "")
    guide = ppl.parse(source).guide({"y": 1.0}, "mean_field")
    assert [(block.guide.name, block.dim) for block in guide.vector.blocks] == [("low_rank", 2), ("mean_field", 2)]
    assert guide.vector.blocks[0].guide.rank == 1
    assert fitted(source, {"y": 1.0}, "mean_field").converged


@pytest.mark.parametrize(("guide", "note"), [("low_rank", '@fullrank("g")'), ("structured", "@lowrank(2)")])
def test_notes_that_a_guide_cannot_carry_out_are_refused_where_they_stand(guide, note):
    model = ppl.parse(f"{note}\na[i in 3] ~ normal(0, 1)")
    with pytest.raises(ppl.ModelError, match="asks for covariances within a group") as caught:
        model.guide({}, guide)
    assert caught.value.diagnostics[0].code == "E801"
    assert caught.value.diagnostics[0].span.line == 1


@pytest.mark.parametrize("guide", ["flow", "mixture"])
def test_a_model_that_is_too_large_for_a_guide_is_refused(guide):
    with pytest.raises(ppl.InferenceError, match="up to 500 continuous unknowns, the model has 501; use") as caught:
        choose_guide(ppl.parse("x[i in 501] ~ normal(0, 1)").bind({}).plan(), guide)
    assert caught.value.diagnostics[0].code == "E704"


@pytest.mark.parametrize(("option", "value"), [("rank", 0), ("rank", 2.5), ("rank", True)])
def test_an_option_is_a_positive_whole_number(option, value):
    with pytest.raises(ppl.InferenceError, match=f"{option} is {value!r}"):
        fitted("x ~ normal(0, 1)", {}, "low_rank", **{option: value})


def test_an_option_of_another_guide_is_refused():
    with pytest.raises(ppl.InferenceError, match="rank"):
        fitted("x ~ normal(0, 1)", {}, "flow", rank=2)


def test_score_matching_is_exact_on_a_gaussian():
    source = "data y: real\nx[k in 6] ~ normal(0, 1)\ny ~ normal(sum(x), 0.2)"
    matched_fit = fitted(source, {"y": 2.0}, "full_rank", "score_matching")
    assert matched_fit.method == "score matching"
    assert matched_fit.elbo == pytest.approx(fitted(source, {"y": 2.0}, "full_rank").elbo, abs=1e-3)


def test_one_step_of_score_matching_solves_its_equation():
    """With a large rate the answer depends on the draws alone, and on a Gaussian it is that Gaussian."""
    rng = np.random.default_rng(0)
    precision = np.array([[2.0, 0.5], [0.5, 1.0]])
    rows = rng.normal(size=(40, 2))
    mean, covariance = matched(np.zeros(2), np.eye(2), rows, (1.0 - rows) @ precision, 1e9)
    np.testing.assert_allclose(mean, np.ones(2), atol=1e-4)
    np.testing.assert_allclose(covariance, np.linalg.inv(precision), atol=1e-4)


def test_score_matching_survives_a_funnel():
    """Scores there grow without bound: steps out of proportion are not taken, and what comes out is finite."""

    class Funnel:
        dim = 2

        def gradient(self, rows):
            scale, value = rows[:, 0], rows[:, 1]
            precision = np.exp(-2.0 * scale)
            return np.stack([-scale / 9.0 - 1.0 + value**2 * precision, -value * precision], axis=1)

    found = fit_score_matching(Funnel(), Proposal(np.zeros(2), np.eye(2)), np.random.default_rng(0))
    assert np.isfinite(found.gaussian.mean).all()
    assert np.isfinite(found.gaussian.factor).all()


@pytest.mark.parametrize(("guide", "fix"), [("mean_field", "guide='full_rank'"), ("flow", "guide='full_rank'")])
def test_score_matching_is_for_the_full_rank_guide(guide, fix):
    with pytest.raises(ppl.InferenceError, match=fix):
        choose_methods(ppl.parse("x ~ normal(0, 1)").bind({}).plan(), guide, "score_matching")


def test_score_matching_is_not_for_scored_sites():
    with pytest.raises(ppl.InferenceError, match="method='stochastic'"):
        choose_methods(ppl.parse("k ~ poisson(3)\ndata y: real\ny ~ normal(k, 1)").bind({"y": 1.0}).plan(), "auto",
                       "score_matching")  # fmt: skip


def test_equal_seeds_give_equal_fits():
    one, two = fitted(BANANA, {"y": 0.0}, "mixture"), fitted(BANANA, {"y": 0.0}, "mixture")
    np.testing.assert_array_equal(one.parameters, two.parameters)
    np.testing.assert_array_equal(one.values["a"], two.values["a"])
