"""Models with finite discrete latents, each with its joint log density written out in plain Python.

`joint(d, v)` takes data and values of *all* latents and loops over the elements; nothing in it comes from the package.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


def log(x):
    return math.log(x) if x > 0 else -math.inf


def bernoulli(x, p):
    return log(p if x else 1 - p)


def normal(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - log(scale) - 0.5 * math.log(2 * math.pi)


def poisson(k, rate):
    return (k * log(rate) if k else 0.0) - rate - math.lgamma(k + 1)


def binomial(k, n, p):
    return log(math.comb(n, k)) + (k * log(p) if k else 0.0) + ((n - k) * log(1 - p) if n - k else 0.0)


@dataclass(frozen=True)
class Case:
    """`states` has, for each discrete site, an array (or nested lists) of the numbers of states of its elements."""

    name: str
    program: str
    data: Mapping[str, Any]
    values: Mapping[str, Any]
    states: Mapping[str, Any]
    joint: Callable[[dict[str, Any], dict[str, Any]], float] = field(repr=False)

    def configurations(self):
        """Every joint value of the discrete sites."""
        counts = {name: np.asarray(count) for name, count in self.states.items()}
        spaces = [itertools.product(*(range(n) for n in count.ravel())) for count in counts.values()]
        for chosen in itertools.product(*spaces):
            yield {n: np.reshape(c, counts[n].shape) for n, c in zip(counts, chosen, strict=True)}

    def log_weights(self, values=None):
        """The joint log density at every configuration."""
        continuous = {name: np.asarray(v, float) for name, v in (values or self.values).items()}
        return np.array([self.joint(dict(self.data), {**continuous, **c}) for c in self.configurations()])


def mixture(d, v):
    return sum(log(v["w"][z]) + normal(y, v["mu"][z], v["s"][z]) for y, z in zip(d["y"], v["z"], strict=True))


MIXTURE = Case(
    "gaussian mixture",
    """
    data N, K: int
    data y: real[N]
    param w: simplex(K)
    param mu: real[K]
    param s: real(lower=0)[K]
    plate n in N {
      z[n] ~ categorical(w)
      y[n] ~ normal(mu[z[n]], s[z[n]])
    }
    """,
    {"N": 4, "K": 3, "y": [0.3, -1.2, 2.4, 0.9]},
    {"w": [0.2, 0.5, 0.3], "mu": [-1.0, 0.4, 2.2], "s": [0.5, 1.0, 0.7]},
    {"z": [3] * 4},
    mixture,
)


def lda(d, v):
    tokens = zip(d["doc"], d["word"], v["z"], strict=True)
    return sum(log(v["theta"][m][z]) + log(v["phi"][z][w]) for m, w, z in tokens)


LDA = Case(
    "topics of tokens",
    """
    data V, M, K, N: int
    data doc: index(M)[N]
    data word: index(V)[N]
    param theta: simplex(K)[M]
    param phi: simplex(V)[K]
    plate n in N {
      z[n] ~ categorical(theta[doc[n]])
      word[n] ~ categorical(phi[z[n]])
    }
    """,
    {"V": 4, "M": 2, "K": 2, "N": 6, "doc": [0, 0, 1, 1, 1, 0], "word": [0, 3, 2, 2, 1, 0]},
    {"theta": [[0.3, 0.7], [0.9, 0.1]], "phi": [[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]},
    {"z": [2] * 6},
    lda,
)


def occupancy(d, v):
    total = 0.0
    for i, visits in enumerate(d["seen"]):
        total += bernoulli(v["z"][i], v["psi"]) + sum(bernoulli(y, v["z"][i] * v["p"]) for y in visits)
    return total


OCCUPANCY = Case(
    "occupancy: sites with visits, impossible states",
    """
    data I, J: int
    data seen: bool[I, J]
    param psi: real(lower=0, upper=1)
    param p: real(lower=0, upper=1)
    plate i in I {
      z[i] ~ bernoulli(psi)
      plate j in J {
        seen[i, j] ~ bernoulli(z[i] * p)
      }
    }
    """,
    {"I": 4, "J": 3, "seen": [[0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0]]},
    {"psi": 0.4, "p": 0.3},
    {"z": [2] * 4},
    occupancy,
)


def capture(d, v):
    total = 0.0
    for i, history in enumerate(d["caught"]):
        inside, shy = v["inside"][i], v["shy"][i]
        total += bernoulli(inside, v["share"]) + bernoulli(shy, 0.3)
        total += sum(bernoulli(y, inside * v["p"][j] * (0.5 if shy else 1.0)) for j, y in enumerate(history))
    return total


CAPTURE = Case(
    "capture-recapture with individual states, two of them",
    """
    data I, J: int
    data caught: bool[I, J]
    param share: real(lower=0, upper=1)
    param p: real(lower=0, upper=1)[J]
    plate i in I {
      inside[i] ~ bernoulli(share)
      shy[i] ~ bernoulli(0.3)
      plate j in J {
        caught[i, j] ~ bernoulli(inside[i] * p[j] * (0.5 if shy[i] else 1))
      }
    }
    """,
    {"I": 3, "J": 2, "caught": [[1, 0], [0, 0], [1, 1]]},
    {"share": 0.7, "p": [0.3, 0.6]},
    {"inside": [2] * 3, "shy": [2] * 3},
    capture,
)


def nested(d, v):
    u, total = v["u"], bernoulli(v["u"], 0.4)
    for i in range(2):
        z = v["z"][i]
        total += log(([0.2, 0.3, 0.5] if u else [0.6, 0.2, 0.2])[z])
        for j in range(2):
            c = v["c"][i, j]
            total += bernoulli(c, 0.1 + 0.2 * z + 0.1 * u) + normal(d["y"][i][j], v["a"] * c + z, 1.0)
    return total


NESTED = Case(
    "discretes in nested plates",
    """
    data I, J: int
    data y: real[I, J]
    param a: real
    u ~ bernoulli(0.4)
    plate i in I {
      z[i] ~ categorical([0.2, 0.3, 0.5] if u == 1 else [0.6, 0.2, 0.2])
      plate j in J {
        c[i, j] ~ bernoulli(0.1 + 0.2 * z[i] + 0.1 * u)
        y[i, j] ~ normal(a * c[i, j] + z[i], 1)
      }
    }
    """,
    {"I": 2, "J": 2, "y": [[0.1, 0.2], [1.0, 2.0]]},
    {"a": 0.7},
    {"u": 2, "z": [3, 3], "c": [[2, 2], [2, 2]]},
    nested,
)


def change(d, v):
    rates = [v["early"] if t < v["tau"] else v["late"] for t in range(len(d["y"]))]
    return -math.log(len(rates)) + sum(poisson(y, rate) for y, rate in zip(d["y"], rates, strict=True))


CHANGE = Case(
    "change point",
    """
    data T: int
    data y: int(lower=0)[T]
    param early: real(lower=0)
    param late: real(lower=0)
    tau ~ categorical(rep(1 / T, T))
    plate t in T {
      y[t] ~ poisson(early if t < tau else late)
    }
    """,
    {"T": 7, "y": [3, 5, 4, 1, 0, 0, 1]},
    {"early": 3.5, "late": 0.6},
    {"tau": 7},
    change,
)


def ragged(d, v):
    pairs = zip(d["n"], v["k"], d["y"], strict=True)
    return sum(binomial(k, n, v["p"]) + normal(y, k, 1.0) for n, k, y in pairs)


RAGGED = Case(
    "binomial counts whose ends differ",
    """
    data N: int
    data n: int(lower=0)[N]
    data y: real[N]
    param p: real(lower=0, upper=1)
    plate i in N {
      k[i] ~ binomial(n[i], p)
      y[i] ~ normal(k[i], 1)
    }
    """,
    {"N": 4, "n": [2, 4, 0, 1], "y": [0.4, 2.0, 0.3, 1.7]},
    {"p": 0.35},
    {"k": [3, 5, 1, 2]},
    ragged,
)


def looked_up(d, v):
    total = sum(log([0.5, 0.3, 0.2][z]) for z in v["z"])
    for n, (group, y) in enumerate(zip(d["group"], d["y"], strict=True)):
        z, c = v["z"][group], v["c"][n]
        total += bernoulli(c, 0.2 + 0.3 * z) + normal(y, v["mu"][z] + 2 * c, 1.0)
    return total + normal(0.4, v["z"][1], 1.0)


LOOKED_UP = Case(
    "groups looked up by index, with a discrete of their own inside, and one element by number",
    """
    data G, N: int
    data group: index(G)[N]
    data y: real[N]
    param mu: real[3]
    plate g in G {
      z[g] ~ categorical([0.5, 0.3, 0.2])
    }
    plate n in N {
      c[n] ~ bernoulli(0.2 + 0.3 * z[group[n]])
      y[n] ~ normal(mu[z[group[n]]] + 2 * c[n], 1)
    }
    factor one = logpdf(normal(z[1], 1), 0.4)
    """,
    {"G": 3, "N": 5, "group": [0, 2, 2, 0, 0], "y": [0.1, 0.4, 1.0, 2.0, -0.3]},
    {"mu": [0.0, 1.0, -0.6]},
    {"z": [3] * 3, "c": [2] * 5},
    looked_up,
)


def two_lookups(d, v):
    total = sum(bernoulli(x, 0.3) for x in v["x"]) + sum(bernoulli(z, 0.6) for z in v["z"].ravel())
    for i in range(2):
        for n, place in enumerate(d["place"]):
            total += normal(d["y"][i][n], v["x"][i] + 2 * v["z"][i, place], 1.0)
    return total


TWO_LOOKUPS = Case(
    "looked up in one plate, shared in the other",
    """
    data I, N, J: int
    data place: index(J)[N]
    data y: real[I, N]
    plate i in I {
      x[i] ~ bernoulli(0.3)
      plate j in J {
        z[i, j] ~ bernoulli(0.6)
      }
      plate n in N {
        y[i, n] ~ normal(x[i] + 2 * z[i, place[n]], 1)
      }
    }
    """,
    {"I": 2, "N": 3, "J": 2, "place": [1, 0, 1], "y": [[0.3, 1.8, 2.2], [0.0, 0.4, 3.0]]},
    {},
    {"x": [2, 2], "z": [[2, 2], [2, 2]]},
    two_lookups,
)


def through(d, v):
    total = sum(bernoulli(z, 0.4) for z in v["z"])
    return total + sum(normal(d["y"][m], 2 * v["z"][m] + v["a"], 1.0) for m in range(3))


THROUGH = Case(
    "read through a deterministic statement and under another plate's name",
    """
    data N: int
    data y: real[N]
    param a: real
    z[k in N] ~ bernoulli(0.4)
    shift[k in N] = 2 * z[k] + a
    plate m in N {
      y[m] ~ normal(shift[m], 1)
    }
    """,
    {"N": 3, "y": [0.2, 2.5, 1.1]},
    {"a": 0.3},
    {"z": [2] * 3},
    through,
)


def asia(d, v):
    either = v["tuberculosis"] or v["cancer"]
    total = bernoulli(d["asia"], 0.01) + bernoulli(v["smoking"], 0.5)
    total += bernoulli(v["tuberculosis"], 0.05 if d["asia"] else 0.01)
    total += bernoulli(v["cancer"], 0.1 if v["smoking"] else 0.01)
    total += bernoulli(v["bronchitis"], 0.6 if v["smoking"] else 0.3) + bernoulli(v["xray"], 0.98 if either else 0.05)
    breathless = (0.9 if v["bronchitis"] else 0.7) if either else (0.8 if v["bronchitis"] else 0.1)
    return total + bernoulli(d["dyspnoea"], breathless)


ASIA = Case(
    "asia",
    """
    data asia, dyspnoea: bool
    asia         ~ bernoulli(0.01)
    smoking      ~ bernoulli(0.5)
    tuberculosis ~ bernoulli(0.05 if asia else 0.01)
    cancer       ~ bernoulli(0.1 if smoking else 0.01)
    bronchitis   ~ bernoulli(0.6 if smoking else 0.3)
    either = tuberculosis or cancer
    xray         ~ bernoulli(0.98 if either else 0.05)
    dyspnoea     ~ bernoulli((0.9 if bronchitis else 0.7) if either else (0.8 if bronchitis else 0.1))
    """,
    {"asia": True, "dyspnoea": True},
    {},
    dict.fromkeys(("smoking", "tuberculosis", "cancer", "bronchitis", "xray"), 2),
    asia,
)

CASES = (MIXTURE, LDA, OCCUPANCY, CAPTURE, NESTED, CHANGE, RAGGED, LOOKED_UP, TWO_LOOKUPS, THROUGH, ASIA)
