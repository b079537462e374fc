"""Expansions and recessions of the US economy, 1959 to 2009: a hidden Markov model with its regimes summed out.

The model of regimes.ppl as a function. Run it to fit the series, compare the recessions that it finds with those of
the National Bureau of Economic Research, and draw them: `python regimes.py [picture.png]`.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from statsmodels.datasets import macrodata

import ppl

NBER = [(1960.25, 1961), (1969.75, 1970.75), (1973.75, 1975), (1980, 1980.5), (1981.5, 1982.75), (1990.5, 1991),
        (2001, 2001.75), (2007.75, 2009.25)]  # fmt: skip
"""Quarters of the peaks and of the troughs, https://www.nber.org/research/business-cycle-dating."""


@ppl.model
def model(T, K, growth, unemployment):
    start = ppl.sample("start", ppl.Dirichlet(np.ones(K)))
    with ppl.plate("k", K):
        move = ppl.sample("move", ppl.Dirichlet(1 + 7 * np.eye(K)))
        spread = ppl.sample("spread", ppl.HalfNormal(1))
        rise = ppl.sample("rise", ppl.Normal(0, 0.5))
        wobble = ppl.sample("wobble", ppl.HalfNormal(0.5))
    level = ppl.sample("level", ppl.ordered(ppl.Normal(0.8, 1), K))
    regime = ppl.scan("regime", lambda t, before: ppl.Categorical(move[before]), ppl.Categorical(start), T)
    with ppl.plate("t", T) as t:
        ppl.sample("growth", ppl.Normal(level[regime[t]], spread[regime[t]]), obs=growth)
        ppl.sample("unemployment", ppl.Normal(rise[regime[t]], wobble[regime[t]]), obs=unemployment)


def series():
    """The quarters in years, growth of output in percent a quarter, change of unemployment in percentage points."""
    table = macrodata.load_pandas().data
    when = (table.year + (table.quarter - 1) / 4).to_numpy()[1:]
    return when, 100 * np.diff(np.log(table.realgdp)), np.diff(table.unemp)


def data(regimes=2):
    _, growth, unemployment = series()
    return {"T": len(growth), "K": regimes, "growth": growth, "unemployment": unemployment}


def main(picture="regimes.png", **options):
    when, growth, _ = series()
    fit = model.fit(data(), **options)
    print(fit.summary(["level", "rise", "move"]))
    recession = (fit.draws()["regime"] == 0).mean(axis=0)
    dated = np.any([(when >= peak) & (when <= trough) for peak, trough in NBER], axis=0)
    stay = fit.draws()["move"][:, 0, 0]
    found = {"agree": np.mean((recession > 0.5) == dated), "lasts": np.median(1 / (1 - stay)), "elbo": fit.elbo}
    print(f"ELBO {fit.elbo:.1f}; a recession lasts {found['lasts']:.1f} quarters")
    print(f"{found['agree']:.0%} of the quarters agree with the NBER's dates; verdict: {fit.verdict.level}")
    drawn(when, growth, recession).savefig(picture, dpi=80)
    return found


def drawn(when, growth, recession):
    """Growth above, the probability of a recession below, and the NBER's recessions in grey behind both."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=[3, 2])
    above.bar(when, growth, 0.2, color=np.where(recession > 0.5, "tab:red", "tab:blue"))
    above.axhline(0, color="black", lw=0.6)
    above.set_ylabel("growth, % a quarter")
    below.fill_between(when, recession, step="mid", color="tab:red", alpha=0.8, lw=0)
    below.set(ylabel="P(recession)", ylim=(0, 1.02), xlim=(when[0] - 0.3, when[-1] + 0.3))
    for axes in (above, below):
        for peak, trough in NBER:
            axes.axvspan(peak - 0.125, trough + 0.125, color="0.85", zorder=0, lw=0)
        axes.spines[["top", "right"]].set_visible(False)
    above.set_title("Red: quarters in the lower regime. Grey: recessions as dated by the NBER", loc="left", fontsize=10)
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
