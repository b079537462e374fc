"""The models of the reference posteriors: each log density beside one written from its mathematics with SciPy.

The data come from the folder that the environment variable PPL_POSTERIORDB names; see README.md there.
"""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.special import expit, logsumexp
from scipy.stats import (
    bernoulli,
    beta,
    binom,
    gamma,
    halfcauchy,
    halfnorm,
    invgamma,
    lognorm,
    multivariate_normal,
    norm,
    poisson,
    uniform,
)

from ppl.language.formatter import formatted
from ppl.program import load
from ppl.source import Source

MODELS = Path(__file__).parents[1] / "examples" / "posteriordb"
FOLDER = os.environ.get("PPL_POSTERIORDB")
CENTRED = "eight_schools-eight_schools_centered"
needs_folder = pytest.mark.skipif(not FOLDER, reason="PPL_POSTERIORDB does not name the folder of reference posteriors")

# The mathematics of README.md: a function of the values v and the data d each ------------------------------


def eight_schools_centred(v, d):
    prior = norm.logpdf(v["mu"], 0, 5) + halfcauchy.logpdf(v["tau"], scale=5)
    effects = norm.logpdf(v["theta"], v["mu"], v["tau"]).sum()
    return prior + effects + norm.logpdf(d["y"], v["theta"], d["sigma"]).sum()


def eight_schools_standardised(v, d):
    prior = norm.logpdf(v["mu"], 0, 5) + halfcauchy.logpdf(v["tau"], scale=5) + norm.logpdf(v["standard"]).sum()
    return prior + norm.logpdf(d["y"], v["mu"] + v["tau"] * v["standard"], d["sigma"]).sum()


def momiq(v, d):
    loc = v["beta"][0] + v["beta"][1] * d["mom_iq"]
    return halfcauchy.logpdf(v["sigma"], scale=2.5) + norm.logpdf(d["kid_score"], loc, v["sigma"]).sum()


def interaction(v, d):
    X = np.stack([np.ones_like(d["mom_iq"]), d["mom_hs"], d["mom_iq"], d["mom_hs"] * d["mom_iq"]], axis=1)
    return halfcauchy.logpdf(v["sigma"], scale=2.5) + norm.logpdf(d["kid_score"], X @ v["beta"], v["sigma"]).sum()


def log_normal(outcome, X, v):
    """Of the outcome itself: that of its logarithm less the constant sum of the logarithms."""
    return lognorm.logpdf(outcome, v["sigma"], scale=np.exp(X @ v["beta"])).sum()


def earnings(v, d):
    X = np.stack([np.ones(len(d["earn"])), d["height"], d["male"], d["height"] * d["male"]], axis=1)
    return log_normal(d["earn"], X, v)


def mesquite(v, d):
    sizes = ("diam1", "diam2", "canopy_height", "total_height", "density")
    X = np.stack([np.ones(len(d["weight"])), *(np.log(d[name]) for name in sizes), d["group"]], axis=1)
    return log_normal(d["weight"], X, v)


def nes(v, d):
    ages = [d["age_discrete"] == age for age in (2, 3, 4)]
    columns = [np.ones(len(d["income"])), d["real_ideo"], d["race_adj"], *ages, d["educ1"], d["gender"], d["income"]]
    return norm.logpdf(d["partyid7"], np.stack(columns, axis=1) @ v["beta"], v["sigma"]).sum()


def blr(v, d):
    prior = norm.logpdf(v["beta"], 0, 10).sum() + halfnorm.logpdf(v["sigma"], scale=10)
    return prior + norm.logpdf(d["y"], d["X"] @ v["beta"], v["sigma"]).sum()


def autoregression(v, d):
    prior = norm.logpdf(v["alpha"], 0, 10) + norm.logpdf(v["beta"], 0, 10).sum()
    total = prior + halfcauchy.logpdf(v["sigma"], scale=2.5)
    for t in range(d["K"], d["T"]):
        loc = v["alpha"] + sum(v["beta"][k - 1] * d["y"][t - k] for k in range(1, d["K"] + 1))
        total += norm.logpdf(d["y"][t], loc, v["sigma"])
    return total


def gaussian_process(v, d):
    prior = gamma.logpdf(v["rho"], 25, scale=1 / 4) + halfnorm.logpdf(v["alpha"], scale=2) + halfnorm.logpdf(v["sigma"])
    distance = d["x"][:, None] - d["x"][None, :]
    cov = v["alpha"] ** 2 * np.exp(-(distance**2) / (2 * v["rho"] ** 2)) + v["sigma"] * np.eye(d["N"])
    return prior + multivariate_normal.logpdf(d["y"], np.zeros(d["N"]), cov)


def diamonds(v, d):
    Xc = d["X"][:, 1:] - d["X"][:, 1:].mean(axis=0)
    prior = norm.logpdf(v["b"]).sum() + stats.t.logpdf(v["Intercept"], 3, 8, 10)
    prior += np.log(2) + stats.t.logpdf(v["sigma"], 3, 0, 10)
    return prior + norm.logpdf(d["Y"], v["Intercept"] + Xc @ v["b"], v["sigma"]).sum()


def kilpisjarvi(v, d):
    prior = norm.logpdf(v["alpha"], d["pmualpha"], d["psalpha"]) + norm.logpdf(v["beta"], d["pmubeta"], d["psbeta"])
    return prior + norm.logpdf(d["y"], v["alpha"] + v["beta"] * d["x"], v["sigma"]).sum()


def radon_intercept(v, d):
    prior = norm.logpdf(v["mu_alpha"], 0, 10) + halfnorm.logpdf([v["sigma_alpha"], v["sigma_y"]]).sum()
    prior += norm.logpdf(v["beta"], 0, 10).sum() + norm.logpdf(v["alpha"], v["mu_alpha"], v["sigma_alpha"]).sum()
    loc = v["alpha"][d["county_idx"] - 1] + v["beta"][0] * d["log_uppm"] + v["beta"][1] * d["floor_measure"]
    return prior + norm.logpdf(d["log_radon"], loc, v["sigma_y"]).sum()


def radon_slope(v, d):
    prior = norm.logpdf([v["mu_alpha"], v["mu_beta"]], 0, 10).sum()
    prior += halfnorm.logpdf([v["sigma_alpha"], v["sigma_beta"], v["sigma_y"]]).sum()
    prior += norm.logpdf(v["alpha"], v["mu_alpha"], v["sigma_alpha"]).sum()
    prior += norm.logpdf(v["beta"], v["mu_beta"], v["sigma_beta"]).sum()
    county = d["county_idx"] - 1
    loc = v["alpha"][county] + v["beta"][county] * d["floor_measure"]
    return prior + norm.logpdf(d["log_radon"], loc, v["sigma_y"]).sum()


def seeds(v, d):
    prior = norm.logpdf([v["alpha0"], v["alpha1"], v["alpha2"], v["alpha12"]], 0, 1000).sum()
    prior += gamma.logpdf(v["tau"], 0.001, scale=1000) + norm.logpdf(v["b"], 0, 1 / np.sqrt(v["tau"])).sum()
    fixed = v["alpha0"] + v["alpha1"] * d["x1"] + v["alpha2"] * d["x2"] + v["alpha12"] * d["x1"] * d["x2"]
    return prior + binom.logpmf(d["n"], d["N"], expit(fixed + v["b"])).sum()


def rats(v, d):
    prior = norm.logpdf([v["mu_alpha"], v["mu_beta"]], 0, 100).sum()
    prior += norm.logpdf(v["alpha"], v["mu_alpha"], v["sigma_alpha"]).sum()
    prior += norm.logpdf(v["beta"], v["mu_beta"], v["sigma_beta"]).sum()
    rat = d["rat"] - 1
    loc = v["alpha"][rat] + v["beta"][rat] * (d["x"] - d["xbar"])
    return prior + norm.logpdf(d["y"], loc, v["sigma_y"]).sum()


def surgical(v, d):
    prior = norm.logpdf(v["mu"], 0, 1000) + invgamma.logpdf(v["sigmasq"], 0.001, scale=0.001)
    prior += norm.logpdf(v["b"], v["mu"], np.sqrt(v["sigmasq"])).sum()
    return prior + binom.logpmf(d["r"], d["n"], expit(v["b"])).sum()


def falcons(v, d):
    prior = uniform.logpdf(v["alpha"], -20, 40) + uniform.logpdf([v["beta1"], v["beta2"], v["beta3"]], -10, 20).sum()
    prior += uniform.logpdf(v["sigma"], 0, 5) + norm.logpdf(v["eps"], 0, v["sigma"]).sum()
    trend = v["alpha"] + v["beta1"] * d["year"] + v["beta2"] * d["year"] ** 2 + v["beta3"] * d["year"] ** 3
    return prior + poisson.logpmf(d["C"], np.exp(trend + v["eps"])).sum()


def item_response(v, d):
    prior = halfcauchy.logpdf([v["sigma_theta"], v["sigma_a"], v["sigma_b"]], scale=2).sum()
    prior += norm.logpdf(v["mu_b"], 0, 5) + norm.logpdf(v["theta"], 0, v["sigma_theta"]).sum()
    prior += lognorm.logpdf(v["a"], v["sigma_a"]).sum() + norm.logpdf(v["b"], v["mu_b"], v["sigma_b"]).sum()
    logits = v["a"][:, None] * (v["theta"][None, :] - v["b"][:, None])
    return prior + bernoulli.logpmf(d["y"], expit(logits)).sum()


def dogs(v, d):
    total = norm.logpdf(v["beta"], 0, 100).sum()
    for dog in d["y"]:
        for t, outcome in enumerate(dog):
            shocked = dog[:t].sum()
            logit = v["beta"][0] + v["beta"][1] * (t - shocked) + v["beta"][2] * shocked
            total += bernoulli.logpmf(outcome, expit(logit))
    return total


def gaussian_mixture(v, d):
    """The density of an ordered vector is that of all its orders, so twice that of the one."""
    prior = np.log(2) + norm.logpdf(v["mu"], 0, 2).sum() + halfnorm.logpdf(v["sigma"], scale=2).sum()
    prior += beta.logpdf(v["theta"], 5, 5)
    parts = norm.logpdf(d["y"][:, None], v["mu"], v["sigma"]) + np.log([v["theta"], 1 - v["theta"]])
    return prior + logsumexp(parts, axis=1).sum()


def garch(v, d):
    total, spread = 0.0, d["sigma1"]
    for t in range(d["T"]):
        if t > 0:
            last = d["y"][t - 1] - v["mu"]
            spread = np.sqrt(v["alpha0"] + v["alpha1"] * last**2 + v["beta1"] * spread**2)
        total += norm.logpdf(d["y"][t], v["mu"], spread)
    return total


def hidden_markov(v, d):
    """All paths together. The number of orders of the means and of first states cancel."""
    prior = norm.logpdf(v["mu"], [3, 10], 1).sum()
    emissions = norm.logpdf(d["y"][:, None], v["mu"], 1)
    transitions = np.log([v["theta1"], v["theta2"]])
    forward = emissions[0]
    for emission in emissions[1:]:
        forward = logsumexp(forward[:, None] + transitions, axis=0) + emission
    return prior + logsumexp(forward)


def lotka_volterra(v, d):
    """By another method at a much tighter tolerance."""
    means, sds = np.array([1, 0.05, 1, 0.05]), np.array([0.5, 0.05, 0.5, 0.05])
    prior = (norm.logpdf(v["theta"], means, sds) - norm.logsf(0, means, sds)).sum()
    prior += lognorm.logpdf(v["z_init"], 1, scale=10).sum() + lognorm.logpdf(v["sigma"], 1, scale=np.exp(-1)).sum()

    def change(t, z):
        a, b, c, e = v["theta"]
        return [(a - b * z[1]) * z[0], (e * z[0] - c) * z[1]]

    span = (0, max(d["ts"]))
    z = solve_ivp(change, span, v["z_init"], "DOP853", d["ts"], rtol=1e-11, atol=1e-11).y.T
    prior += lognorm.logpdf(d["y_init"], v["sigma"], scale=v["z_init"]).sum()
    return prior + lognorm.logpdf(d["y"], v["sigma"], scale=z).sum()


SUPPORTED = {
    "GLMM_Poisson_data-GLMM_Poisson_model": falcons,
    "arK-arK": autoregression,
    "diamonds-diamonds": diamonds,
    "dogs-dogs": dogs,
    "earnings-logearn_interaction": earnings,
    CENTRED: eight_schools_centred,
    "eight_schools-eight_schools_noncentered": eight_schools_standardised,
    "garch-garch11": garch,
    "gp_pois_regr-gp_regr": gaussian_process,
    "hmm_example-hmm_example": hidden_markov,
    "hudson_lynx_hare-lotka_volterra": lotka_volterra,
    "irt_2pl-irt_2pl": item_response,
    "kidiq-kidscore_interaction": interaction,
    "kidiq-kidscore_momiq": momiq,
    "kilpisjarvi_mod-kilpisjarvi": kilpisjarvi,
    "low_dim_gauss_mix-low_dim_gauss_mix": gaussian_mixture,
    "mesquite-logmesquite": mesquite,
    "nes1980-nes": nes,
    "radon_mn-radon_hierarchical_intercept_noncentered": radon_intercept,
    "radon_mn-radon_variable_intercept_slope_noncentered": radon_slope,
    "rats_data-rats_model": rats,
    "sblrc-blr": blr,
    "seeds_data-seeds_model": seeds,
    "surgical_data-surgical_model": surgical,
}
TOLERANCES = {"hudson_lynx_hare-lotka_volterra": 1e-3}
"""Where the model itself asks for less: its differential equation is solved to 1e-5 relative and 1e-3 absolute."""
# The tests ----------------------------------------------------------------------------------------------


def folder_of(name):
    return Path(FOLDER) / ("eight_schools-eight_schools_noncentered" if name == CENTRED else name)


def read(name, file):
    return json.loads((folder_of(name) / file).read_text(encoding="utf-8"))


def bound(name):
    return load(MODELS / f"{name}.ppl").bind(read(name, "data.json"), base=1)


def reference_moments(name):
    """Means and standard deviations by name, vectors put together: {"beta": (array, array), "sigma": …}."""
    gathered = {}
    for key, entry in read(name, "reference.json").items():
        gathered.setdefault(re.sub(r"\[.*", "", key), []).append((entry["mean"], entry["sd"]))
    indexed = {re.sub(r"\[.*", "", key) for key in read(name, "reference.json") if "[" in key}
    return {key: np.array(rows).T if key in indexed else np.array(rows[0]) for key, rows in gathered.items()}


def random_values(name, model, rng):
    """Constrained values of every continuous latent, about the reference posterior."""
    moments = reference_moments(name)
    values = {}
    for site in model.latents:
        if site.distribution.family.discrete:
            continue
        mean, sd = moments.get(site.name, (np.zeros(site.shape), np.ones(site.shape)))
        noise = rng.standard_normal(site.shape)
        values[site.name] = mean + sd * noise if site.support.name == "real" else mean * np.exp(0.1 * noise)
        if site.support.name == "simplex":
            values[site.name] /= values[site.name].sum()
    return values


@needs_folder
@pytest.mark.parametrize("name", SUPPORTED)
def test_log_density(name):
    program, data = load(MODELS / f"{name}.ppl"), read(name, "data.json")
    arrays = {key: np.asarray(value) if isinstance(value, list) else value for key, value in data.items()}
    model, rng = bound(name).model, np.random.default_rng(20)
    for _ in range(3):
        values = random_values(name, model, rng)
        expected = SUPPORTED[name](values, arrays)
        assert np.isfinite(expected)
        tolerance = TOLERANCES.get(name, 1e-8)
        np.testing.assert_allclose(program.log_density(values, data, base=1), expected, rtol=tolerance)


@needs_folder
@pytest.mark.parametrize("name", SUPPORTED)
def test_every_parameter_of_the_reference_has_its_name_and_shape(name):
    model = bound(name).model
    for key, moments in reference_moments(name).items():
        assert model.by_name[key].shape == moments[0].shape


@needs_folder
def test_every_reference_posterior_has_its_model():
    folders = {path.parent.name for path in Path(FOLDER).glob("*/reference.json")}
    assert folders | {CENTRED} == set(SUPPORTED)


def test_every_model_is_tested_and_laid_out_canonically():
    for path in MODELS.glob("*.ppl"):
        text = path.read_text(encoding="utf-8")
        assert formatted(Source(path.name, text)) == text
    assert {path.stem for path in MODELS.glob("*.ppl")} == set(SUPPORTED)
