"""`Fit`: what the user holds after a fit."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.errors import InferenceError
from ppl.inference.result import InferenceResult, Verdict
from ppl.model.model import Model
from ppl.model.streamed import require_whole, streamed_axis
from ppl.posterior.corrected import (
    corrected_draws,
    corrections_by_draws,
    of_random_predictions,
    with_corrected,
    with_raw,
)
from ppl.posterior.draws import WeightedDraws
from ppl.posterior.quantities import observed_values, pointwise_log_likelihood, predictive
from ppl.posterior.results import local_latents, posterior_draws
from ppl.posterior.run import Bindable, Bound, Run, Training
from ppl.posterior.summary import Summary

if TYPE_CHECKING:
    import arviz
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Fit:
    """A posterior: weighted draws of everything in the model, and how far to trust them.

    Names are those of the model: latents, learned parameters, deterministic quantities and the predict block. Where the
    draws carry importance weights, `mean`, `sd`, `quantile` and `summary` use them, and `draws` resamples by them.
    """

    name: str
    posterior: WeightedDraws
    run: Run
    outcomes: frozenset[str]
    base: int
    program: Bindable | None
    training: Training | None
    explanation: Callable[[bool], str]
    local: frozenset[str] = frozenset()
    """Latents that each row of the data, or each element of a plate seen in parts, has for itself."""
    response: WeightedDraws | None = None
    """Of a mean-field fit, as many draws with the covariance of linear response, where those could be had."""

    @classmethod
    def of(cls, program: Bindable, model: Model, data: dict[str, Any], result: InferenceResult, base: int = 0) -> Fit:
        """The fit of `model`, which is `program` bound to `data`, with all quantities that follow from its draws."""
        posterior, response = posterior_draws(model, data, result), corrected_draws(model, data, result)
        if response is not None:
            result = of_random_predictions(result, posterior, response)
        return cls(
            name=program.name,
            posterior=posterior,
            run=Run.of(result),
            outcomes=frozenset(site.name for site in model.observed),
            base=base,
            program=program,
            training=Training(model, data),
            explanation=_explainer(result),
            local=local_latents(result),
            response=response,
        )

    # The posterior -------------------------------------------------------------------------------

    def summary(self, names: str | Iterable[str] | None = None) -> Summary:
        """A table of mean, standard deviation and 5, 50 and 95 % quantiles; `names` picks variables.

        Of a mean-field fit it has the sds of linear response too.
        """
        shown = self.posterior if self.response is None else with_corrected(self.posterior, self.response)
        return shown.summary(_listed(names))

    def mean(self, name: str) -> Any:
        """Posterior mean, of the variable's shape."""
        return self.posterior.mean(name)

    def sd(self, name: str) -> Any:
        """Posterior standard deviation, of the variable's shape."""
        return self.posterior.sd(name)

    def quantile(self, name: str, q: Any) -> Any:
        """Posterior quantiles: `q` is a number in [0, 1] or an array of them, whose shape comes first."""
        return self.posterior.quantile(name, q)

    def draws(self, n: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
        """Equally weighted joint draws, (n, *shape) for each name; `n` defaults to the number asked for at the fit."""
        return self._sample(n, seed).shown()

    def _sample(self, draws: int | None, seed: int) -> WeightedDraws:
        """Equally weighted draws: the stored ones where they are that already and no number is asked for."""
        if draws is None and self.posterior.weights is not None:
            draws = self.run.draws
        return self.posterior.resampled(draws, seed)

    @property
    def corrected(self) -> Fit | None:
        """Of a mean-field fit, the same fit with draws that have the covariance of linear response; else None.

        Its draws, means, sds, quantiles and predictions are those of the corrected Gaussian. The verdict, ELBO and
        evidence stay mean field's.
        """
        if self.response is None:
            return None
        return replace(self, posterior=with_raw(self.response, self.posterior), response=None)

    @property
    def verdict(self) -> Verdict:
        return self.run.verdict

    @property
    def elbo(self) -> float:
        """Evidence lower bound in nats."""
        return self.run.elbo

    @property
    def log_evidence(self) -> float | None:
        """Importance-sampling estimate of log p(data) in nats, None where there is none."""
        return self.run.log_evidence

    def explain(self, code: bool = False) -> str:
        """The plan of the fit: what was done with every site and why; with `code` the generated density too."""
        return self.explanation(code)

    # With a model and data -----------------------------------------------------------------------

    def predict(
        self,
        data: Mapping[str, Any] | None = None,
        draws: int | None = None,
        seed: int = 0,
        base: int | None = None,
        raw: bool = False,
    ) -> dict[str, np.ndarray]:
        """Posterior predictive draws (draws, *shape) of outcomes, deterministic quantities and the predict block.

        `data` are new data, the outcomes left out (or ignored); without it the data of the fit. Row i follows from
        row i of `fit.draws(draws, seed)`; of a mean-field fit that has `corrected` draws, from row i of those, unless
        its `raw` ones are asked for. Latents must have the same shapes as in the fit, but for those that rows
        have for themselves: of `@amortized` ones the new data are encoded, of others of a `@minibatch` plate the prior
        is drawn where the plate has another length.
        """
        chosen = self if raw else self.corrected or self
        bound = self._open("predict", data, base)
        return chosen._predicted(bound, chosen._known(bound, data, draws, seed), seed).shown()

    def predictive(
        self,
        data: Mapping[str, Any] | None = None,
        draws: int | None = None,
        seed: int = 0,
        base: int | None = None,
        raw: bool = False,
    ) -> WeightedDraws:
        """As `predict`, with `summary`, `mean`, `sd` and `quantile` of the predictions.

        Where they are corrected the summary has the raw sds too, and `beside.corrections` each with its neighbour.
        """
        corrected = None if raw else self.corrected
        bound = self._open("predict", data, base)
        own = self._predicted(bound, self._known(bound, data, draws, seed), seed)
        if corrected is None:
            return own
        sample = corrected._known(bound, data, draws, seed)
        found = corrected._predicted(bound, sample, seed)
        return with_raw(found, own, corrections_by_draws(list(found.values), own, found, sample))

    def _known(self, bound: Bound, data: Mapping[str, Any] | None, draws: int | None, seed: int) -> WeightedDraws:
        """Equally weighted draws to predict from."""
        sample = self._sample(draws, seed)
        return sample if data is None else self._with_encoded(bound, sample, seed)

    def _predicted(self, bound: Bound, sample: WeightedDraws, seed: int) -> WeightedDraws:
        return predictive(bound.model, bound.data, sample, self.outcomes, seed, self.local)

    def encode(
        self,
        data: Mapping[str, Any],
        draws: int = 1000,
        refine: int = 0,
        seed: int = 0,
        base: int | None = None,
    ) -> WeightedDraws:
        """The posterior of the latents that rows have for themselves, for rows that the fit has not seen.

        One pass of the encoders gives it for `@amortized` latents; `refine` gradient steps then improve it row by row,
        and find it for others of a `@minibatch` plate. All that was learned stays as it is. Row i belongs to row i of
        `fit.draws(draws, seed)`. Raises InferenceError where there is nothing to encode.
        """
        from ppl.posterior.encoding import encode

        bound = self._program("encode").bind(data, self._base(base))
        require_whole(bound.model, "encode")
        return encode(bound.model, bound.data, self._sample(draws, seed), self.local, refine, seed)

    def _with_encoded(self, bound: Bound, sample: WeightedDraws, seed: int) -> WeightedDraws:
        """The draws with those of amortised latents replaced by what their encoders make of the data."""
        from ppl.posterior.encoding import encode, encoded_sites

        names = encoded_sites(bound.model)
        if not names:
            return sample
        require_whole(bound.model, "predict")
        found = encode(bound.model, bound.data, sample, names, 0, seed)
        return replace(
            sample,
            variables={**sample.variables, **found.variables},
            values={**sample.values, **found.values},
        )

    def log_likelihood(
        self, data: Mapping[str, Any] | None = None, draws: int | None = None, seed: int = 0, base: int | None = None
    ) -> dict[str, np.ndarray]:
        """Log density of every observation, (draws, *plates), by outcome.

        `data` must have the outcomes; without it the data of the fit. Row i belongs to row i of
        `fit.draws(draws, seed)`.
        """
        bound = self._bound("log_likelihood", data, base)
        return pointwise_log_likelihood(bound.model, bound.data, self._sample(draws, seed))

    def to_arviz(
        self, data: Mapping[str, Any] | None = None, draws: int | None = None, seed: int = 0
    ) -> arviz.InferenceData:
        """The fit as ArviZ's InferenceData: posterior and, where data are at hand, the groups that need them.

        Needs the extra `arviz`.
        """
        from ppl.posterior.arviz_export import to_inference_data

        known = data is not None or (self.training is not None and streamed_axis(self.training.model) is None)
        model = self._bound("to_arviz", data, None).model if known else None
        return to_inference_data(self, data, model, draws, seed)

    # Pictures, by the extra `plot` -------------------------------------------------------------------

    def plot(self, names: str | Iterable[str] | None = None) -> Figure:
        """Marginal densities and intervals of every latent, or of those in `names`: `"theta"`, `"theta[0]"`."""
        from ppl.posterior.plots import plot_marginals

        return plot_marginals(self, _listed(names))

    def plot_pairs(self, names: str | Iterable[str] | None = None) -> Figure:
        """Draws of every pair of up to ten numbers, with their correlation; without `names` of the first five."""
        from ppl.posterior.plots import plot_pairs

        return plot_pairs(self, _listed(names))

    def plot_predictive(
        self, name: str | None = None, data: Mapping[str, Any] | None = None, draws: int = 1000, seed: int = 0
    ) -> Figure:
        """Posterior predictive check of an outcome: predictions beside what the data of the fit, or `data`, have."""
        from ppl.posterior.plots import plot_predictive

        observed = observed_values(self._open("plot_predictive", data, None).model)
        return plot_predictive(observed, self.predictive(data, draws, seed), name)

    def plot_history(self) -> Figure:
        """The ELBO along the optimisation."""
        from ppl.posterior.plots import plot_history

        return plot_history(self)

    # Files ---------------------------------------------------------------------------------------

    def save(self, path: str | pathlib.Path) -> None:
        """Write the fit to one file, without the training data. An existing file is replaced whole or not at all.

        Read it again with `ppl.load_fit`.
        """
        from ppl.posterior.storage import write_fit

        write_fit(self, pathlib.Path(path))

    def __str__(self) -> str:
        numbers = sum(variable.size for variable in self.posterior.variables.values() if variable.kind == "latent")
        evidence = "" if self.log_evidence is None else f", log evidence {self.log_evidence:.2f}"
        return (
            f"<fit of {self.name}: {numbers} unknown{'s' * (numbers != 1)}, {self.posterior.count} draws, "
            f"ELBO {self.elbo:.2f}{evidence}, {self.verdict.level}>"
        )

    __repr__ = __str__

    # Helpers -------------------------------------------------------------------------------------

    def _base(self, base: int | None) -> int:
        return self.base if base is None else base

    def _open(self, what: str, data: Mapping[str, Any] | None, base: int | None) -> Bound:
        """As `_bound`, where new data may leave out outcomes."""
        if data is None:
            return self._training(what)
        return self._program(what).bind_without_outcomes(data, self._base(base))

    def _bound(self, what: str, data: Mapping[str, Any] | None, base: int | None) -> Bound:
        return self._training(what) if data is None else self._program(what).bind(data, self._base(base))

    def _training(self, what: str) -> Training:
        if self.training is None:
            raise InferenceError.of(
                "E615", None, "a saved fit does not contain the data it was fitted to", f"pass them: `fit.{what}(data)`"
            )
        return self.training

    def _program(self, what: str) -> Bindable:
        if self.program is None:
            raise InferenceError.of(
                "E616", None, f"`{what}` needs the model `{self.name}`: a saved fit does not contain a Python function",
                "load it with the function: `ppl.load_fit(path, model=…)`",
            )  # fmt: skip
        return self.program


def _listed(names: str | Iterable[str] | None) -> list[str] | None:
    return None if names is None else [names] if isinstance(names, str) else list(names)


def _explainer(result: InferenceResult) -> Callable[[bool], str]:
    def explained(code: bool) -> str:
        from ppl.inference.explain import explain

        return explain(result.plan, result.guide.vector.name, code, result)

    return explained
