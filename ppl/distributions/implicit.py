"""Pull-backs through draws that have no noise form: what the families' `implicit` fields share.

Each takes the derivative of a scalar by a draw (`cotangent`) to its derivatives by parameters, as if the quantiles of
the draw's parts were held while the parameters move. NumPy only. A draw that fell below the smallest number and was put
there counts as that number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.formulas import SMALLEST
from ppl.numeric import NUMPY


def gamma_slope(concentration: Any, standard: Any) -> Any:
    """Derivative by the concentration of the log of a gamma draw of rate 1."""
    return NUMPY.special.gamma_quantile_slope(concentration, standard)


def beta_slopes(concentration1: Any, concentration0: Any, value: Any, other: Any) -> tuple[Any, Any]:
    """Derivatives by both concentrations of the log odds of a beta draw; `other = 1 - value`."""
    slope = NUMPY.special.beta_quantile_slope
    return slope(concentration1, concentration0, value, other), -slope(concentration0, concentration1, other, value)


def radius_slope(df: Any, size: int, radius: Any) -> Any:
    """Derivative by `df` of the log distance of a t draw of `size` dimensions and scale 1 from its centre."""
    return NUMPY.special.radius_quantile_slope(df, size, radius)


def dirichlet(value: Any, cotangent: Any, concentration: Any) -> dict[str, Any]:
    """In time proportional to the length, through the beta distribution of each element.

    When element j moves at its quantile and the others keep their proportions, the draw stays a Dirichlet draw.
    """
    value = np.maximum(value, SMALLEST)
    others = _one_less(value)
    rest = np.sum(concentration, axis=-1, keepdims=True) - concentration
    rest = np.maximum(rest, SMALLEST)
    slope, _ = beta_slopes(concentration, rest, value, others)
    mean = np.sum(value * cotangent, axis=-1, keepdims=True)
    return {"concentration": value * slope * (cotangent - mean)}


def _one_less(value: Any) -> Any:
    """The sum of the other elements of vectors with sum 1, to full relative accuracy."""
    largest = np.argmax(value, axis=-1, keepdims=True)
    others = 1.0 - value
    remaining = np.array(value)
    np.put_along_axis(remaining, largest, 0.0, axis=-1)
    np.put_along_axis(others, largest, np.sum(remaining, axis=-1, keepdims=True), axis=-1)
    return np.maximum(others, SMALLEST)


def spread(value: Any, cotangent: Any, loc: Any, **given: Any) -> tuple[dict[str, Any], Any]:
    """Through `loc + factor @ standard`, with `cov`, `prec` or `chol` given; and the length of `standard`."""
    deviation = value - loc
    if "prec" in given:
        factor = np.linalg.cholesky(given["prec"])
        standard = _apply(_transposed(factor), deviation)
        slope = -_outer(deviation, _apply(np.linalg.inv(factor), cotangent))
    else:
        factor = given["chol"] if "chol" in given else np.linalg.cholesky(given["cov"])
        standard = _apply(np.linalg.inv(factor), deviation)
        slope = _outer(cotangent, standard)
    (name,) = given
    slope = np.tril(slope)
    found = {"loc": cotangent, name: slope if name == "chol" else cholesky(factor, slope)}
    return found, np.sqrt(np.sum(standard * standard, axis=-1))


def cholesky(factor: Any, cotangent: Any) -> Any:
    """From a derivative by a Cholesky factor to the symmetric one by its matrix (Murray, 2016)."""
    inner = np.tril(_transposed(factor) @ cotangent)
    inner = inner - 0.5 * inner * np.eye(inner.shape[-1])
    inverse = np.linalg.inv(factor)
    return symmetric(_transposed(inverse) @ inner @ inverse)


def wishart(value: Any, cotangent: Any, df: Any, scale: Any) -> dict[str, Any]:
    """Through Bartlett's decomposition, whose triangular matrix the draw and `scale` determine."""
    size = np.shape(scale)[-1]
    of_scale, of_value = np.linalg.cholesky(scale), np.linalg.cholesky(value)
    standard = np.linalg.inv(of_scale) @ of_value
    slope = np.tril(2.0 * symmetric(cotangent) @ of_value)
    lengths = np.diagonal(standard, axis1=-2, axis2=-1)
    freedom = np.asarray(df)[..., None] - np.arange(size)
    growth = 0.25 * lengths * gamma_slope(0.5 * freedom, 0.5 * lengths * lengths)
    by_length = np.diagonal(_transposed(of_scale) @ slope, axis1=-2, axis2=-1)
    return {
        "df": np.sum(by_length * growth, axis=-1),
        "scale": cholesky(of_scale, np.tril(slope @ _transposed(standard))),
    }


def inverse_wishart(value: Any, cotangent: Any, df: Any, scale: Any) -> dict[str, Any]:
    precision = np.linalg.inv(scale)
    found = wishart(np.linalg.inv(value), -value @ symmetric(cotangent) @ value, df, precision)
    return {"df": found["df"], "scale": -precision @ found["scale"] @ precision}


def symmetric(matrix: Any) -> Any:
    return 0.5 * (matrix + _transposed(matrix))


def _transposed(matrix: Any) -> Any:
    return np.swapaxes(matrix, -1, -2)


def _apply(matrix: Any, vector: Any) -> Any:
    return (matrix @ vector[..., None])[..., 0]


def _outer(left: Any, right: Any) -> Any:
    return left[..., :, None] * right[..., None, :]
