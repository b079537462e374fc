"""Pictures of a fit and of a calibration, by the extra `plot` (matplotlib); every function returns a `Figure`."""

from ppl.posterior.plots.history import plot_history
from ppl.posterior.plots.marginals import plot_marginals
from ppl.posterior.plots.pairs import plot_pairs
from ppl.posterior.plots.predictive import plot_predictive
from ppl.posterior.plots.ranks import plot_ranks

__all__ = ["plot_history", "plot_marginals", "plot_pairs", "plot_predictive", "plot_ranks"]
