"""Pictures: what is in them, and what is answered where there is none. Drawn without a screen."""

import io
import re
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from posterior.made import DATA, made_fit
from posterior.ranked import UNIFORM, ranked

import ppl
from ppl.posterior.plots.density import curve

pytest.importorskip("matplotlib", reason="needs matplotlib, which is not installed")

COUNTS = "data N: int\ndata y: int[N]\nrate ~ gamma(2, 1)\ny ~ poisson(rep(rate, N))"
LONG = "data N: int\ndata y: real[N]\nz[n in N] ~ normal(0, 1)\nplate n in N { y[n] ~ normal(z[n], 1) }"


@pytest.fixture(scope="module")
def fit():
    return made_fit()


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(figure):
    """The figure rendered as a PNG; returns its panels."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    assert file.getvalue().startswith(b"\x89PNG")
    return [axes for axes in figure.axes if axes.axison]


def titles(figure):
    return [axes.get_title(loc="left") for axes in drawn(figure)]


def answer(call):
    with pytest.raises(ppl.InferenceError) as caught:
        call()
    return str(caught.value)


# Densities ---------------------------------------------------------------------------------------------


def mass(points, heights):
    return heights.sum() * (points[1] - points[0])


def test_a_density_integrates_to_one_and_is_that_of_the_draws():
    rng = np.random.default_rng(0)
    draws = rng.normal(3.0, 2.0, 20_000)
    points, heights = curve(draws)
    assert mass(points, heights) == pytest.approx(1.0, abs=0.02)
    exact = np.exp(-0.5 * ((points - 3.0) / 2.0) ** 2) / np.sqrt(8.0 * np.pi)
    assert np.abs(heights - exact).max() < 0.015


def test_a_density_does_not_fall_off_at_an_edge():
    points, heights = curve(np.random.default_rng(0).exponential(size=50_000))
    assert heights[0] == pytest.approx(1.0, abs=0.1)
    assert points[0] >= 0.0


def test_a_density_uses_weights():
    rng = np.random.default_rng(0)
    draws = np.concatenate([rng.normal(-5, 1, 5000), rng.normal(5, 1, 5000)])
    weights = np.repeat([0.9, 0.1], 5000) / 5000
    points, heights = curve(draws, weights)
    low = points < 0.0
    assert mass(points[low], heights[low]) == pytest.approx(0.9, abs=0.02)


# A fit -------------------------------------------------------------------------------------------------


def test_every_latent_has_a_panel_numbers_first(fit):
    figure = fit.plot()
    assert titles(figure) == ["mu", "tau", "theta", "drift"]
    mu, _, theta, drift = figure.axes
    assert mu.lines[0].get_label() == "mu"
    assert mu.get_title(loc="right") == f"mean {fit.mean('mu'):.3g}, sd {fit.sd('mu'):.2g}"
    assert [text.get_text() for text in theta.get_yticklabels()] == ["theta[0]", "theta[1]", "theta[2]"]
    assert [text.get_text() for text in drift.get_yticklabels()] == ["drift[2]", "drift[3]"]
    assert theta.get_ylim()[0] > theta.get_ylim()[1]  # the first on top


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_are_the_quantiles(weighted):
    fit = made_fit(weighted=weighted)
    (axes,) = fit.plot("theta").axes
    wide, narrow = axes.collections
    low, first, middle, third, high = fit.quantile("theta", [0.05, 0.25, 0.5, 0.75, 0.95])
    np.testing.assert_allclose([segment[:, 0] for segment in wide.get_segments()], np.transpose([low, high]))
    np.testing.assert_allclose([segment[:, 0] for segment in narrow.get_segments()], np.transpose([first, third]))
    np.testing.assert_allclose(axes.lines[-1].get_xdata(), middle)


def test_names_may_be_elements_and_derived_quantities(fit):
    figure = fit.plot(["theta[1]", "spread", "b"])
    assert titles(figure) == ["theta[1]", "spread", "b"]
    assert answer(lambda: fit.plot("thetta")).startswith("E611 no `thetta` in the fit; did you mean `theta`?")
    assert answer(lambda: fit.plot("theta[7]")).startswith("E611 no `theta[7]` in the fit")


def test_long_arrays_are_bands_and_whole_numbers_bars():
    long = made_fit(ppl.parse(LONG), {"y": np.zeros(60)}, draws=50)
    (axes,) = long.plot().axes
    assert len(axes.collections) == 2
    assert len(axes.lines[0].get_xdata()) == 60
    counts = ppl.parse("data y: real\nk ~ bernoulli(0.4)\ny ~ normal(k, 1)").fit({"y": 0.3})
    (axes,) = counts.plot("k").axes
    share = counts.mean("k")
    assert 0.0 < share < 1.0
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([1.0 - share, share])
    assert [bar.get_x() + 0.3 for bar in axes.patches] == pytest.approx([0.0, 1.0])


def test_pairs(fit):
    names = ["mu", "theta[0]", "theta[2]"]
    figure = fit.plot_pairs(names)
    panels = np.reshape(figure.axes, (3, 3))
    drawn(figure)
    assert [axes.get_xlabel() for axes in panels[2]] == names
    assert [axes.get_ylabel() for axes in panels[:, 0]] == names
    draws = fit.posterior.resampled(1000).values
    np.testing.assert_array_equal(panels[1, 0].lines[0].get_xdata(), draws["mu"])
    np.testing.assert_array_equal(panels[1, 0].lines[0].get_ydata(), draws["theta"][:, 0])
    assert panels[0, 1].texts[0].get_text() == f"{np.corrcoef(draws['mu'], draws['theta'][:, 0])[0, 1]:.2f}"


def test_pairs_of_a_few_numbers_unless_named(fit):
    panels = np.reshape(fit.plot_pairs().axes, (5, 5))
    assert [axes.get_xlabel() for axes in panels[4]] == ["mu", "tau", "theta[0]", "theta[1]", "theta[2]"]
    assert answer(lambda: fit.plot_pairs("mu")).startswith("E619 1 number to pair; 2 to 10 can be shown")
    long = made_fit(ppl.parse(LONG), {"y": np.zeros(60)}, draws=50)
    assert answer(lambda: long.plot_pairs("z")).startswith("E619 60 numbers to pair")


def test_few_observations_stand_one_by_one(fit):
    figure = fit.plot_predictive(draws=200)
    (axes,) = drawn(figure)
    *_, observed = axes.lines
    np.testing.assert_array_equal(observed.get_ydata(), DATA["y"])
    wide, _ = axes.collections
    expected = np.quantile(fit.predict(draws=200)["y"], [0.05, 0.95], axis=0).T
    np.testing.assert_allclose([segment[:, 1] for segment in wide.get_segments()], expected)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "predicted, 90 %",
        "predicted, 50 %",
        "observed",
    ]
    assert axes.get_title(loc="right").endswith(" % of 4 observations lie in their 90 % intervals")


def test_many_observations_are_a_distribution():
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, 60)
    (axes,) = drawn(made_fit(ppl.parse(COUNTS), {"y": counts}, draws=100).plot_predictive(draws=100))
    bars = {round(bar.get_x() + 0.3): bar.get_height() for bar in axes.patches}
    assert [bars[value] for value in range(counts.max() + 1)] == list(np.bincount(counts))
    (axes,) = drawn(made_fit(ppl.parse(LONG), {"y": rng.normal(size=60)}, draws=50).plot_predictive(draws=50))
    assert len(axes.lines) == 40 + 2
    assert axes.lines[40].get_label() == "observed"


def test_missing_observations_have_no_place_in_the_check():
    text = "data N: int\ndata y: real[N] missing\nmu ~ normal(0, 1)\nplate n in N { y[n] ~ normal(mu, 1) }"
    (axes,) = made_fit(ppl.parse(text), {"y": [1.0, None, 3.0]}).plot_predictive(draws=50).axes
    np.testing.assert_array_equal(axes.lines[-1].get_ydata(), [1.0, 3.0])


def test_outcomes_are_named(fit):
    assert answer(lambda: fit.plot_predictive("yy")) == "E619 no outcome `yy`; did you mean `y`?"
    data = {**DATA, "y": [0.0, 0.0, 1.0, 1.0]}
    (axes,) = fit.plot_predictive("y", data, draws=50).axes
    np.testing.assert_array_equal(axes.lines[-1].get_ydata(), data["y"])


def test_history():
    climb = -100.0 / np.arange(1.0, 401.0)
    figure = made_fit(history=climb, elbo=-0.25).plot_history()
    (axes,) = drawn(figure)
    each, mean, result = axes.lines
    np.testing.assert_array_equal(each.get_ydata(), climb)
    assert mean.get_label() == "mean of 8 steps"
    assert len(mean.get_ydata()) == 393
    assert set(result.get_ydata()) == {-0.25}
    assert axes.get_ylim()[0] > -10.0  # the beginning is off the picture
    assert answer(lambda: made_fit(history=np.array([-1.0])).plot_history()).startswith("E619 this fit has no history")


def test_without_matplotlib_the_extra_is_named(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in ("plot", "plot_pairs", "plot_predictive", "plot_history"):
        found = answer(getattr(fit, name))
        assert found == f"E617 `{name}` needs matplotlib; pip install 'ppl[plot]'"


def test_the_page_runs(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    (tmp_path / "examples").mkdir()
    shutil.copy(root / "examples" / "eight_schools.ppl", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    page = (root / "docs" / "how-to" / "plot-a-fit.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    exec(compile(block, "plot-a-fit.md", "exec"), {})
    assert {path.name for path in tmp_path.glob("*.png")} == {"posterior.png", "pairs.png", "check.png"}


def test_nothing_to_show():
    empty = made_fit(ppl.parse("data y: real\ny ~ normal(0, 1)"), {"y": 1.0})
    assert answer(empty.plot).startswith("E619 there is nothing unknown")


def test_drawing_leaves_no_figure_behind(fit):
    fit.plot()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


# A calibration -----------------------------------------------------------------------------------------


def test_ranks_that_leave_the_band_stand_out():
    found = ranked(np.concatenate([UNIFORM, UNIFORM**3], axis=1))
    figure = found.plot()
    (axes,) = drawn(figure)
    assert axes.get_title(loc="left") == "theta"
    _, good, bad = axes.lines
    low, high = found.band
    assert np.all(
        (good.get_ydata()[1:-1] >= low - found.grid - 1e-9) & (good.get_ydata()[1:-1] <= high - found.grid + 1e-9)
    )
    assert np.any(bad.get_ydata()[1:-1] > high - found.grid)
    assert good.get_color() != bad.get_color()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["theta[1]"]
    assert answer(lambda: found.plot("mu")) == "E611 no `mu` in the calibration; there are theta"
