"""What a calibration found: ranks, what follows from them, and a verdict in plain words."""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior.calibration.findings import Finding, describe, kind_of
from ppl.posterior.calibration.refit import LOG_DENSITY, LOG_LIKELIHOOD, Failure, Quantity, Refit
from ppl.posterior.calibration.uniformity import band, grid, p_value
from ppl.posterior.summary import PRINTED_ROWS, aligned, elided, longest_shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FALSE_ALARM = 0.01
"""How often a calibration of exact posteriors finds something, at most: all its tests together."""

_HEAD = ("", "p", "in 50 %", "in 90 %", "z mean", "z sd", "contraction", "")


@dataclass(frozen=True)
class Calibration:
    """Ranks of true values among posterior draws, over fits to data from the prior (Talts et al. 2018).

    Arrays are (fits, quantities). `ranks` count the draws below the truth, 0 to `draws`; `truth` are the values drawn
    from the prior; `means`, `sds` and `spreads` those of the posterior draws, a spread being half the width of the
    central 68 %. `levels` are the verdicts of the fits, `failures` the fits that raised.
    """

    name: str
    quantities: tuple[Quantity, ...]
    ranks: np.ndarray = field(repr=False)
    truth: np.ndarray = field(repr=False)
    means: np.ndarray = field(repr=False)
    sds: np.ndarray = field(repr=False)
    spreads: np.ndarray = field(repr=False)
    levels: tuple[str, ...] = field(repr=False)
    failures: tuple[Failure, ...]
    draws: int
    seed: int

    @classmethod
    def of(cls, name: str, attempts: Iterable[Refit | Failure], draws: int, seed: int) -> Calibration:
        """Raises InferenceError where no fit came through."""
        every = list(attempts)
        fits = [attempt for attempt in every if isinstance(attempt, Refit)]
        failures = tuple(attempt for attempt in every if isinstance(attempt, Failure))
        if not fits:
            raise InferenceError.of("E634", None, f"none of {len(every)} fits came through; {failures[0]}")
        arrays = {
            "ranks": np.array([fit.rank for fit in fits]), "truth": np.array([fit.truth for fit in fits]),
            "means": np.array([fit.mean for fit in fits]), "sds": np.array([fit.sd for fit in fits]),
            "spreads": np.array([fit.spread for fit in fits]),
        }  # fmt: skip
        fixed = np.all(arrays["sds"] == 0.0, axis=0) & np.all(arrays["truth"] == arrays["truth"][0], axis=0)
        kept = np.flatnonzero(~fixed | (len(fits) == 1))
        quantities = tuple(fits[0].quantities[place] for place in kept)
        levels = tuple(fit.level for fit in fits)
        arrays = {key: array[:, kept] for key, array in arrays.items()}
        return cls(name, quantities, levels=levels, failures=failures, draws=draws, seed=seed, **arrays)

    # What follows from the ranks ---------------------------------------------------------------------

    @cached_property
    def places(self) -> np.ndarray:
        """Ranks as numbers in [0, 1], spread evenly within each rank: uniform where the posterior is exact."""
        rng = np.random.default_rng([self.seed, len(self.ranks)])
        return (self.ranks + rng.random(self.ranks.shape)) / (self.draws + 1)

    @cached_property
    def p_values(self) -> np.ndarray:
        """Of uniform ranks, by quantity; see `ppl.posterior.calibration.uniformity`."""
        return np.array([p_value(column) for column in self.places.T])

    @property
    def level(self) -> float:
        """The p-value below which one quantity is miscalibrated: Bonferroni's share of the false alarms."""
        return FALSE_ALARM / len(self.quantities)

    @property
    def grid(self) -> np.ndarray:
        """The points between 0 and 1 at which the distribution of the ranks is looked at."""
        return grid(len(self.ranks))

    @property
    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Between which shares of the ranks below each point of the grid a quantity passes."""
        return band(len(self.ranks), self.level)

    @cached_property
    def z(self) -> np.ndarray:
        """(posterior mean - truth) / posterior sd, (fits, quantities)."""
        with np.errstate(all="ignore"):
            return np.where(self.means == self.truth, 0.0, (self.means - self.truth) / self.sds)

    @cached_property
    def contraction(self) -> np.ndarray:
        """1 - posterior variance / prior variance, the median over fits; from spreads, which heavy tails leave alone.

        NaN for the test quantities, and where the prior has no spread.
        """
        low, high = np.quantile(self.truth, [0.16, 0.84], axis=0)
        joint = [quantity.variable in (LOG_LIKELIHOOD, LOG_DENSITY) for quantity in self.quantities]
        with np.errstate(all="ignore"):
            ratio = np.median(self.spreads, axis=0) / (0.5 * (high - low))
        return np.where(np.isfinite(ratio) & ~np.array(joint), 1.0 - ratio**2, np.nan)

    def coverage(self, probability: float) -> np.ndarray:
        """The share of true values in the posterior's central intervals of this probability, by quantity."""
        return np.mean(np.abs(self.places - 0.5) <= 0.5 * probability, axis=0)

    def where(self, *levels: str) -> Calibration:
        """The fits with one of these verdicts alone. As a verdict depends on data only, their ranks are uniform too."""
        rows = [row for row, level in enumerate(self.levels) if level in levels]
        if not rows:
            found = ", ".join(f'"{level}"' for level in dict.fromkeys(self.levels))
            raise InferenceError.of("E634", None, f"no fit has the verdict {' or '.join(levels)}; there are {found}")
        arrays = {key: getattr(self, key)[rows] for key in ("ranks", "truth", "means", "sds", "spreads")}
        return replace(self, levels=tuple(self.levels[row] for row in rows), failures=(), **arrays)

    # What it means -----------------------------------------------------------------------------------

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is miscalibrated and how, the elements of one variable together."""
        found: dict[tuple[str, str], list[int]] = {}
        for place, quantity in enumerate(self.quantities):
            if self.p_values[place] < self.level:
                found.setdefault((quantity.variable, kind_of(self.places[:, place])), []).append(place)
        sizes = Counter(quantity.variable for quantity in self.quantities)
        covered = self.coverage(0.9)
        return tuple(
            Finding(
                variable, kind, tuple(self.quantities[place].name for place in places), sizes[variable],
                (float(covered[places].min()), float(covered[places].max())), float(self.z[:, places].mean()),
            )
            for (variable, kind), places in found.items()
        )  # fmt: skip

    @property
    def passed(self) -> bool:
        """Nothing was found, and every fit came through."""
        return not self.findings and not self.failures

    @property
    def verdict(self) -> str:
        """One paragraph: what is wrong, or what could not have been seen."""
        if self.findings:
            parts = [describe(self.findings), self._trusted(), self._failed()]
        elif self.failures:
            parts = [f"Incomplete: {self._failed()}", self._praise()]
        else:
            parts = [f"Calibrated: {self._praise()}"]
        return " ".join(part[0].upper() + part[1:] for part in parts if part)

    def _praise(self) -> str:
        low, high = self.band
        fits = _counted(len(self.ranks))
        return (
            f"the true values of all {len(self.quantities)} quantities rank uniformly among the draws of their "
            f"posteriors. With {fits} a posterior quantile that is off by up to "
            f"{100.0 * np.max(high - low) / 2.0:.0f} percentage points can go unseen."
        )

    def _trusted(self) -> str:
        """Whether the verdicts of the fits had told."""
        trusted = self.levels.count("trusted")
        if trusted in (0, len(self.levels)):
            return "" if trusted else "No fit was trusted by its own verdict."
        left = len(self.where("trusted").findings)
        found = f"{left} of these findings remain" if left else "nothing is found"
        return f"Among the {_counted(trusted)} that were trusted {found}."

    def _failed(self) -> str:
        if not self.failures:
            return ""
        total = len(self.failures) + len(self.ranks)
        return f"{len(self.failures)} of {_counted(total)} failed and are not in the ranks, {self.failures[0]}."

    def to_dict(self) -> dict[str, Any]:
        """Numbers only, for JSON: None stands for what there is not."""
        columns = self._columns()
        return {
            "passed": self.passed, "fits": len(self.ranks), "draws": self.draws, "seed": self.seed,
            "verdicts": dict(Counter(self.levels)), "failures": [str(failure) for failure in self.failures],
            "quantities": {
                quantity.name: {key: _plain(column[place]) for key, column in columns.items()}
                for place, quantity in enumerate(self.quantities)
            },
        }  # fmt: skip

    def _columns(self) -> dict[str, np.ndarray]:
        with np.errstate(all="ignore"):
            return {
                "p": self.p_values, "coverage_50": self.coverage(0.5), "coverage_90": self.coverage(0.9),
                "z_mean": self.z.mean(axis=0), "z_sd": self.z.std(axis=0), "contraction": self.contraction,
            }  # fmt: skip

    def table(self, rows: int | None = PRINTED_ROWS) -> str:
        """One row for each quantity; beyond about `rows` rows the middle of long arrays is left out."""
        kinds = {name: finding.kind for finding in self.findings for name in finding.elements}
        columns = list(self._columns().values())
        lines = [
            (quantity.variable, (quantity.name, *_cells([c[place] for c in columns]), kinds.get(quantity.name, "")))
            for place, quantity in enumerate(self.quantities)
        ]
        groups = [[row for _, row in group] for _, group in itertools.groupby(lines, key=lambda line: line[0])]
        most = longest_shown([len(group) for group in groups], rows)
        return "\n".join(aligned([_HEAD, *(row for group in groups for row in elided(group, most))]))

    def __str__(self) -> str:
        counts = Counter(self.levels)
        words = {"trusted": "trusted", "care": "usable with care", "not trusted": "not trusted"}
        levels = [f"{counts[level]} {words[level]}" for level in words if counts[level]]
        levels += [f"{len(self.failures)} failed"] * bool(self.failures)
        total = len(self.ranks) + len(self.failures)
        return "\n".join([
            self.table(), "",
            f"{_counted(total)} ({', '.join(levels)}), ranks among {self.draws} draws each",
            f"p < {self.level:.2g} is a finding; at most {100 * FALSE_ALARM:.0f} % of calibrations of exact posteriors "
            "have any",
            textwrap.fill(self.verdict, 110),
        ])  # fmt: skip

    def plot(self, names: str | Sequence[str] | None = None) -> Figure:
        """The empirical distribution of the ranks less the diagonal, one panel for each variable, with its band.

        Needs the extra `plot`.
        """
        from ppl.posterior.plots import plot_ranks

        return plot_ranks(self, [names] if isinstance(names, str) else names)


def _counted(fits: int) -> str:
    return "1 fit" if fits == 1 else f"{fits} fits"


def _plain(number: Any) -> float | None:
    return float(number) if np.isfinite(number) else None


def _cells(numbers: list[float]) -> list[str]:
    """p, two shares, z's mean and sd, and the contraction as text."""
    p, half, most, z_mean, z_sd, contraction = numbers
    return [
        "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}",
        f"{100 * half:.0f} %", f"{100 * most:.0f} %", f"{z_mean:.2f}", f"{z_sd:.2f}",
        f"{contraction:.2f}" if np.isfinite(contraction) else "",
    ]  # fmt: skip
