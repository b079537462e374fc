"""Functions of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppl.functions.base import FUNCTIONS, UNKNOWN, Function, unknown_domain
from ppl.functions.broadcasting import align_batches
from ppl.functions.domains import keeps

COVARIANCE = ((2.0, 0.6, -0.3), (0.6, 1.5, 0.4), (-0.3, 0.4, 1.1))
VECTOR = (0.3, -1.2, 2.1)
RECTANGLE = ((0.8, 1.7, -0.4), (0.1, -0.9, 2.2))
COLUMNS = ((0.8, 1.7), (-0.4, 0.1), (-0.9, 2.2))


def solve(xp: Any, a: Any, b: Any) -> Any:
    """`x` with `a @ x = b` for a vector `b`."""
    matrix, vector = align_batches(xp, (a, b), (2, 1))
    return xp.linalg.solve(matrix, vector[..., None])[..., 0]


def solve_matrix(xp: Any, a: Any, b: Any) -> Any:
    """`x` with `a @ x = b` for a matrix `b`."""
    return xp.linalg.solve(*align_batches(xp, (a, b), (2, 2)))


def _triangular(lower: bool, columns: bool) -> Callable[..., Any]:
    """The solution of a triangular system, for a vector or a matrix of columns."""

    def implementation(xp: Any, a: Any, b: Any) -> Any:
        matrix, right = align_batches(xp, (a, b), (2, 1 + columns))
        if columns:
            return xp.solve_triangular(matrix, right, lower)
        return xp.solve_triangular(matrix, right[..., None], lower)[..., 0]

    return implementation


def diagonal(xp: Any, a: Any) -> Any:
    index = xp.arange(xp.shape(a)[-1])
    return a[..., index, index]


def _factor_domain(domain: str) -> str:
    return "cov_cholesky" if domain in ("positive_definite", UNKNOWN) else UNKNOWN


def _diagonal_domain(domain: str) -> str:
    return "positive" if domain in ("positive_definite", "cov_cholesky", "corr_cholesky") else UNKNOWN


def _eigenvalues_domain(domain: str) -> str:
    return "positive" if domain == "positive_definite" else UNKNOWN


def _diag_domain(domain: str) -> str:
    return "positive_definite" if domain == "positive" else UNKNOWN


# name, parameters, signature, doc, implementation, domain rule, names at the Python door, example
MATRIX = (
    (
        "matmul",
        ("a", "b"),
        "(l,m),(m,n)->(l,n)",
        "Matrix product.",
        lambda xp, a, b: xp.matmul(*align_batches(xp, (a, b), (2, 2))),
        unknown_domain,
        (),
        (RECTANGLE, COVARIANCE),
    ),
    (
        "transpose",
        ("a",),
        "(m,n)->(n,m)",
        "Rows and columns exchanged.",
        lambda xp, a: xp.swapaxes(a, -1, -2),
        keeps("positive_definite"),
        ("numpy.transpose", "numpy.matrix_transpose", "numpy.linalg.matrix_transpose"),
        (RECTANGLE,),
    ),
    (
        "cholesky",
        ("a",),
        "(n,n)->(n,n)",
        "Lower triangular factor `l` with `l @ transpose(l) = a`.",
        lambda xp, a: xp.linalg.cholesky(a),
        _factor_domain,
        ("numpy.linalg.cholesky",),
        (COVARIANCE,),
    ),
    (
        "inverse",
        ("a",),
        "(n,n)->(n,n)",
        "Inverse matrix.",
        lambda xp, a: xp.linalg.inv(a),
        keeps("positive_definite"),
        ("numpy.linalg.inv",),
        (COVARIANCE,),
    ),
    (
        "log_determinant",
        ("a",),
        "(n,n)->()",
        "Log of the absolute value of the determinant.",
        lambda xp, a: xp.linalg.slogdet(a)[1],
        unknown_domain,
        (),
        (COVARIANCE,),
    ),
    (
        "solve",
        ("a", "b"),
        "(n,n),(n)->(n)",
        "`x` with `a @ x = b`, `b` a vector.",
        solve,
        unknown_domain,
        ("numpy.linalg.solve",),
        (COVARIANCE, VECTOR),
    ),
    (
        "solve_matrix",
        ("a", "b"),
        "(m,m),(m,n)->(m,n)",
        "`x` with `a @ x = b`, `b` a matrix.",
        solve_matrix,
        unknown_domain,
        (),
        (COVARIANCE, COLUMNS),
    ),
    (
        "solve_lower",
        ("a", "b"),
        "(n,n),(n)->(n)",
        "`x` with `a @ x = b` for the lower triangle of `a`, as of a Cholesky factor; `b` a vector.",
        _triangular(lower=True, columns=False),
        unknown_domain,
        (),
        (COVARIANCE, VECTOR),
    ),
    (
        "solve_lower_matrix",
        ("a", "b"),
        "(m,m),(m,n)->(m,n)",
        "`x` with `a @ x = b` for the lower triangle of `a`, `b` a matrix.",
        _triangular(lower=True, columns=True),
        unknown_domain,
        (),
        (COVARIANCE, COLUMNS),
    ),
    (
        "solve_upper",
        ("a", "b"),
        "(n,n),(n)->(n)",
        "`x` with `a @ x = b` for the upper triangle of `a`, `b` a vector.",
        _triangular(lower=False, columns=False),
        unknown_domain,
        (),
        (COVARIANCE, VECTOR),
    ),
    (
        "solve_upper_matrix",
        ("a", "b"),
        "(m,m),(m,n)->(m,n)",
        "`x` with `a @ x = b` for the upper triangle of `a`, `b` a matrix.",
        _triangular(lower=False, columns=True),
        unknown_domain,
        (),
        (COVARIANCE, COLUMNS),
    ),
    (
        "eigenvalues",
        ("a",),
        "(n,n)->(n)",
        "Eigenvalues of a symmetric matrix in increasing order.",
        lambda xp, a: xp.eigenvalues(a),
        _eigenvalues_domain,
        ("numpy.linalg.eigvalsh",),
        (COVARIANCE,),
    ),
    (
        "diag",
        ("x",),
        "(n)->(n,n)",
        "Matrix with `x` on its diagonal and zeros elsewhere.",
        lambda xp, x: x[..., :, None] * xp.eye(xp.shape(x)[-1]),
        _diag_domain,
        ("numpy.diag",),
        (VECTOR,),
    ),
    (
        "diagonal",
        ("a",),
        "(n,n)->(n)",
        "Diagonal of a matrix.",
        diagonal,
        _diagonal_domain,
        ("numpy.diagonal",),
        (COVARIANCE,),
    ),
    (
        "trace",
        ("a",),
        "(n,n)->()",
        "Sum of the diagonal.",
        lambda xp, a: xp.sum(diagonal(xp, a), axis=-1),
        _diagonal_domain,
        ("numpy.trace",),
        (COVARIANCE,),
    ),
)

VECTOR_FORMS = ("solve", "solve_lower", "solve_upper")

for _name, _parameters, _signature, _doc, _implementation, _domain, _numpy, _example in MATRIX:
    FUNCTIONS.register(
        Function(
            _name,
            _parameters,
            _implementation,
            _signature,
            _doc,
            domain=_domain,
            numpy=_numpy,
            example=_example,
            alternatives=(f"{_name}_matrix",) if _name in VECTOR_FORMS else (),
        )
    )
