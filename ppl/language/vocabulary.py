"""Names of the language that stand in no registry, and other systems' names for what stands in one."""

from __future__ import annotations

from ppl.constraints.base import SUPPORTS
from ppl.model.networks import HEADS

# Types of data and parameters besides the supports.
ELEMENT_TYPES = frozenset({"real", "int", "bool", "index"})

# Distributions made of distributions, with the positions where those stand.
COMBINATORS = {
    "truncated": slice(0, 1),
    "censored": slice(0, 1),
    "ordered": slice(0, 1),
    "zero_inflated": slice(0, 1),
    "hurdle": slice(0, 1),
    "mixture": slice(1, None),
    "zero_sum": slice(0, 1),
}

# Calls that the lowering knows by itself, and where they take distributions.
FORMS = frozenset({"size", "rep", "eye", "ode", "logpdf", "mlp", *HEADS})
TAKES_DISTRIBUTIONS = {**COMBINATORS, "logpdf": slice(0, 1)}

# Forms whose first argument is the name of a function.
TAKES_FUNCTION = frozenset({"ode"})

# Distributions as BUGS, Stan and NumPyro call them, where the nearest name would not be the right one.
FOREIGN_DISTRIBUTIONS = {
    "N": "normal",
    "gaussian": "normal",
    "norm": "normal",
    "normal_id_glm": "normal",
    "halfnormal": "half_normal",
    "halfcauchy": "half_cauchy",
    "studentt": "student_t",
    "t": "student_t",
    "lnorm": "lognormal",
    "gam": "gamma",
    "inv_gamma": "inverse_gamma",
    "inversegamma": "inverse_gamma",
    "invgamma": "inverse_gamma",
    "exp": "exponential",
    "expon": "exponential",
    "unif": "uniform",
    "bern": "bernoulli",
    "bernoulli_logit": "bernoulli",
    "bin": "binomial",
    "binom": "binomial",
    "binomial_logit": "binomial",
    "pois": "poisson",
    "poisson_log": "poisson",
    "cat": "categorical",
    "categorical_logit": "categorical",
    "dirch": "dirichlet",
    "dirich": "dirichlet",
    "mnorm": "multi_normal",
    "mvnorm": "multi_normal",
    "mvnormal": "multi_normal",
    "multivariatenormal": "multi_normal",
    "multivariate_normal": "multi_normal",
    "improperuniform": "flat",
    "wald": "inverse_gaussian",
    "exp_mod_normal": "ex_gaussian",
    "exponnorm": "ex_gaussian",
    "double_exponential": "laplace",
    "skew_double_exponential": "asymmetric_laplace",
    "loglogistic": "log_logistic",
    "logitnormal": "logit_normal",
    "reciprocal": "log_uniform",
    "genextreme": "generalized_extreme_value",
    "gev": "generalized_extreme_value",
    "genpareto": "generalized_pareto",
    "inv_chi_square": "inverse_chi2",
    "scaled_inv_chi_square": "scaled_inverse_chi2",
    "lkj_corr": "lkj",
    "matnormal": "matrix_normal",
    "ar": "autoregressive",
}

# What the other system means by the same call and this one does not.
FOREIGN_WARNINGS = {
    "dnorm": "`dnorm` of BUGS takes a precision, `normal` a standard deviation",
    "dlnorm": "`dlnorm` of BUGS takes a precision, `lognormal` a standard deviation",
    "dmnorm": "`dmnorm` of BUGS takes a precision matrix: write `prec = …`",
    "bernoulli_logit": "write `bernoulli(logits = …)`",
    "binomial_logit": "write `binomial(n, logits = …)`",
    "categorical_logit": "write `categorical(logits = …)`",
    "poisson_log": "write `poisson(log_rate = …)`",
}

_PREFIXES = ("d", "r")
_SUFFIXES = ("_lpdf", "_lpmf", "_rng", "_lupdf")


def known_types() -> frozenset[str]:
    """The element types, and the supports that are written without arguments or with a size alone."""
    return ELEMENT_TYPES | {name for name, support in SUPPORTS.items() if not support.arguments}


def own_distribution(name: str, known: frozenset[str]) -> str | None:
    """This language's name of another system's distribution, or None."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    candidates = [name, name.casefold(), *(name.removeprefix(prefix) for prefix in _PREFIXES)]
    for candidate in candidates:
        own = FOREIGN_DISTRIBUTIONS.get(candidate, candidate)
        if own in known:
            return own
    return None
