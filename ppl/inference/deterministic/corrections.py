"""Mean field's standard deviations beside those of linear response, and where the difference comes from.

Giordano, Broderick and Jordan (2018), Covariances, robustness, and variational Bayes: mean field leaves out the
correlations, and the response of its means to a small tilt of the density brings them back.
"""

from __future__ import annotations

import numpy as np

from ppl.inference.deterministic.mean_field import LinearResponse
from ppl.inference.result import Correction
from ppl.inference.target import Target

STEP = 1e-4
"""Of the finite differences, in sds."""
LEAST = 0.05
"""Correlations weaker than this change an sd by a thousandth, and are not named."""


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
    np.fill_diagonal(correlation, 0.0)
    strongest = np.abs(correlation).argmax(axis=1)
    return tuple(
        Correction(name, float(raw[k]), float(corrected[k]), *neighbour(names[j], float(correlation[k, j])))
        for k, (name, j) in enumerate(zip(names, strongest, strict=True))
    )


def neighbour(name: str, correlation: float) -> tuple[str, float]:
    """What a correction names: nothing where the correlation is weak."""
    return (name, correlation) if abs(correlation) >= LEAST else ("", 0.0)


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
