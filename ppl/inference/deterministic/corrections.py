"""Mean field's standard deviations beside those of linear response, and where the difference comes from.

Giordano, Broderick and Jordan (2018), Covariances, robustness, and variational Bayes: mean field leaves out the
correlations, and the response of its means to a small tilt of the density brings them back.
"""

from __future__ import annotations

import numpy as np

from ppl.inference.deterministic.mean_field import LinearResponse
from ppl.inference.result import FELT, SAME, Correction
from ppl.inference.target import Target

STEP = 1e-4
"""Of the finite differences, in sds."""
NO_RESPONSE = (
    "predictions are mean field's own: where the curvature is not positive definite there is no linear response"
)


def corrections(target: Target, response: LinearResponse) -> tuple[Correction, ...]:
    """One for each element of every latent and of every deterministic quantity, those of the predict block too, in its
    own units: both sds by the delta method at the mean.

    The neighbour is the other latent element with the strongest correlation. Nothing where linear response is not
    sound.
    """
    if not response.sound:
        return ()
    names, slopes, latents = _slopes(target, response)
    raw = np.sqrt(np.sum((slopes * response.raw_sd) ** 2, axis=1))
    spread = slopes @ response.covariance
    corrected = np.sqrt(np.sum(spread * slopes, axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = spread @ slopes[:latents].T / np.outer(corrected, corrected[:latents])
    correlation = np.nan_to_num(correlation)
    correlation[correlation > SAME] = 0.0
    strongest = np.abs(correlation).argmax(axis=1)
    return tuple(
        Correction(name, float(raw[k]), float(corrected[k]), *neighbour(names[j], float(correlation[k, j])))
        for k, (name, j) in enumerate(zip(names, strongest, strict=True))
    )


def corrected_rows(response: LinearResponse, rows: np.ndarray) -> np.ndarray | None:
    """Mean field's draws (draws, dim) with the covariance of linear response put in the place of their own.

    They keep their noise, and the sd of every coordinate is made exact. None where there is none.
    """
    if not response.sound:
        return None
    try:
        factor = np.linalg.cholesky(response.covariance)
    except np.linalg.LinAlgError:
        return None
    moved = (rows - response.mean) / response.raw_sd @ factor.T
    moved *= np.sqrt(np.diag(response.covariance) / np.mean(moved * moved, axis=0))
    return np.asarray(response.mean + moved)


def neighbour(name: str, correlation: float) -> tuple[str, float]:
    """What a correction names: nothing where the correlation is weak."""
    return (name, correlation) if abs(correlation) >= FELT else ("", 0.0)


def _slopes(target: Target, response: LinearResponse) -> tuple[list[str], np.ndarray, int]:
    """Names of elements, the derivatives of their values at the mean (elements, dim), and how many are latents': the
    first ones.
    """
    step = STEP * np.sqrt(np.diag(response.covariance))
    rows = response.mean + np.concatenate([np.diag(step), -np.diag(step)])
    values = target.values(rows)
    names, parts = [], []
    for name, value in {**values, **target.quantities(values)}.items():
        names += [f"{name}[{', '.join(map(str, i))}]" if i else name for i in np.ndindex(*value.shape[1:])]
        flat = value.reshape(2, target.dim, -1)
        parts.append(((flat[0] - flat[1]) / (2.0 * step[:, None])).T)
    return names, np.concatenate(parts), sum(len(part) for part in parts[: len(values)])
