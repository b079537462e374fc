"""A fit as ArviZ's InferenceData."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior.quantities import observed_values
from ppl.posterior.variables import Variable, model_variables

if TYPE_CHECKING:
    import arviz

    from ppl.model.model import Model
    from ppl.posterior.fit import Fit


def to_inference_data(
    fit: Fit, data: Mapping[str, Any] | None, model: Model | None, draws: int | None, seed: int
) -> arviz.InferenceData:
    """One chain of equally weighted draws.

    With `model`, bound to `data` or to those of the fit: posterior predictive, log likelihood and observed data too.
    Plates become dimensions of their own names, with their indices as coordinates.
    """
    try:
        import arviz
    except ImportError as error:
        raise InferenceError.of("E617", None, "`to_arviz` needs ArviZ", "pip install 'ppl[arviz]'") from error
    variables = dict(fit.posterior.variables)
    groups = {"posterior": _one_chain(fit.draws(draws, seed))}
    observed: dict[str, np.ndarray] = {}
    if model is not None:
        variables |= model_variables(model)
        predicted = fit.predict(data, draws, seed, raw=True)  # rows of both groups belong together
        groups["posterior_predictive"] = _one_chain({name: predicted[name] for name in sorted(fit.outcomes)})
        groups["log_likelihood"] = _one_chain(fit.log_likelihood(data, draws, seed))
        observed = observed_values(model)
    coordinates, dimensions = _dimensions(variables)
    options: dict[str, Any] = {"coords": coordinates, "dims": dimensions, **groups}
    return arviz.from_dict(**options, observed_data=observed or None)


def _one_chain(draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array[None] for name, array in draws.items()}


def _dimensions(variables: Mapping[str, Variable]) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Coordinates of the plates, and the dimension names of every variable."""
    coordinates: dict[str, np.ndarray] = {}
    dimensions: dict[str, list[str]] = {}
    for variable in variables.values():
        names = []
        for axis in variable.axes:
            name = f"{axis.name}_index" if axis.name in variables else axis.name  # xarray wants them apart
            coordinates[name] = np.arange(axis.start, axis.stop)
            names.append(name)
        dimensions[variable.name] = names + [f"{variable.name}_dim_{i}" for i in range(len(variable.event))]
    return coordinates, dimensions
