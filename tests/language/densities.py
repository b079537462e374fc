"""The programs of the language's description with small data, values of the unknowns, and the log density there.

Each `CASES[name]()` gives `(data, values, expected)`; `expected` comes from NumPy and SciPy alone.
"""

import numpy as np
from scipy import integrate, special, stats

CASES = {}
rng = np.random.default_rng


def case(function):
    """Registers `() -> (data, values, expected log density)` under the program's name."""
    CASES[function.__name__] = function
    return function


def normal(x, loc, scale):
    return stats.norm(loc, scale).logpdf(x).sum()


def half_normal(x, scale):
    return stats.halfnorm(scale=scale).logpdf(x).sum()


def ordered_normal(x, loc, scale):
    """Of the sorted values: each order has the same density."""
    return normal(x, loc, scale) + special.gammaln(len(x) + 1)


def bernoulli(x, logits):
    return stats.bernoulli(special.expit(logits)).logpmf(x).sum()


def dirichlet(rows, concentration):
    return sum(stats.dirichlet(concentration).logpdf(row) for row in rows)


@case
def eight_schools():
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    sigma = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    mu, tau, theta = 4.4, 3.6, np.linspace(-2, 9, 8)
    expected = normal(mu, 0, 5) + stats.halfcauchy(scale=5).logpdf(tau) + normal(theta, mu, tau)
    return {"y": y, "sigma": sigma}, {"mu": mu, "tau": tau, "theta": theta}, expected + normal(y, theta, sigma)


@case
def radon():
    county, floor, uppm = np.array([0, 0, 1, 1, 2]), np.array([0.0, 1, 0, 1, 1]), np.array([0.5, -0.3, 1.2])
    y, known = [1.0, None, 0.5, None, 2.0], [0, 2, 4]
    gamma, beta, tau, sigma, alpha = np.array([0.2, -0.4]), 0.7, 0.6, 0.9, np.array([0.1, 0.3, -0.2])
    expected = normal(gamma, 0, 10) + normal(beta, 0, 10) + half_normal(np.array([tau, sigma]), 1)
    expected += normal(alpha, gamma[0] + gamma[1] * uppm, tau)
    expected += normal([1.0, 0.5, 2.0], alpha[county[known]] + beta * floor[known], sigma)
    data = {"county": county, "floor": floor, "log_uppm": uppm, "log_radon": y}
    return data, {"gamma": gamma, "beta": beta, "tau": tau, "sigma": sigma, "alpha": alpha}, expected


@case
def logistic_horseshoe():
    X, y = rng(1).normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])
    alpha, tau, lam, b = 0.3, 0.2, np.array([0.5, 1.5, 3.0]), np.array([0.1, -0.4, 0.2])
    expected = stats.t(3, 0, 2.5).logpdf(alpha) + stats.halfcauchy(scale=0.1).logpdf(tau)
    expected += stats.halfcauchy.logpdf(lam).sum() + normal(b, 0, tau * lam) + bernoulli(y, alpha + X @ b)
    return {"X": X, "y": y}, {"alpha": alpha, "beta.tau": tau, "beta.lam": lam, "beta": b}, expected


@case
def gaussian_mixture():
    """The assignments summed out."""
    y, w, mu, s = np.array([-1.2, 0.1, 3.0, 2.8]), np.array([0.3, 0.7]), np.array([-1.0, 2.5]), np.array([0.8, 1.3])
    components = np.log(w) + stats.norm(mu, s).logpdf(y[:, None])
    expected = dirichlet([w], [1, 1]) + ordered_normal(mu, 0, 2) + half_normal(s, 2)
    return {"y": y, "K": 2}, {"w": w, "mu": mu, "s": s}, expected + special.logsumexp(components, axis=1).sum()


@case
def lda():
    """The topic of each word summed out, at another concentration than the initial one."""
    doc, word, a = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 3, 2, 2, 1, 3]), 0.8
    theta = np.array([[0.2, 0.8], [0.6, 0.4]])
    phi = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    expected = dirichlet(theta, [a, a]) + dirichlet(phi, [0.1] * 4)
    expected += np.log(np.sum(theta[doc] * phi[:, word].T, axis=1)).sum()
    return {"doc": doc, "word": word, "V": 4, "M": 2, "K": 2}, {"a": a, "theta": theta, "phi": phi}, expected


@case
def hmm():
    """The states of each sequence summed out by the forward recursion."""
    y = rng(2).normal(size=(3, 5))
    lengths, init, A = np.array([5, 2, 4]), np.array([0.6, 0.4]), np.array([[0.9, 0.1], [0.3, 0.7]])
    mu, sigma = np.array([-0.5, 1.0]), np.array([0.7, 1.2])
    expected = dirichlet([init, *A], [1, 1]) + ordered_normal(mu, 0, 5) + half_normal(sigma, 1)
    for row, length in zip(y, lengths, strict=True):
        emitted = stats.norm(mu, sigma).pdf(row[:length, None])
        forward = init * emitted[0]
        for each in emitted[1:]:
            forward = forward @ A * each
        expected += np.log(forward.sum())
    data = {"len": lengths, "y": np.where(np.arange(5) < lengths[:, None], y, 0.0), "K": 2}
    return data, {"init": init, "A": A, "mu": mu, "sigma": sigma}, expected


@case
def garch():
    y, K, s0 = 0.1 * rng(3).normal(size=9).cumsum(), 2, 0.4
    alpha, beta, a0, a1, b1 = 0.1, np.array([0.5, -0.2]), 0.05, 0.3, 0.4
    expected, m, s = normal(alpha, 0, 10) + normal(beta, 0, 1), {}, {}
    for t in range(K, 9):
        m[t] = alpha + beta[0] * y[t - 1] + beta[1] * y[t - 2]
        s[t] = s0 if t == K else np.sqrt(a0 + a1 * (y[t - 1] - m[t - 1]) ** 2 + b1 * s[t - 1] ** 2)
        expected += normal(y[t], m[t], s[t])
    values = {"alpha": alpha, "beta": beta, "a0": a0, "a1": a1, "b1": b1}
    return {"y": y, "K": K, "s0": s0}, values, expected


@case
def gaussian_process():
    x, xnew = np.linspace(0, 10, 12), np.array([2.5, 11.0])
    y, ell, amp, sigma = np.sin(x), 5.5, 1.2, 0.3
    covariance = amp**2 * np.exp(-0.5 * ((x[:, None] - x) / ell) ** 2) + sigma**2 * np.eye(12)
    expected = stats.gamma(25, scale=1 / 4).logpdf(ell) + half_normal(amp, 2) + half_normal(sigma, 1)
    expected += stats.multivariate_normal(np.zeros(12), covariance).logpdf(y)
    return {"x": x, "y": y, "xnew": xnew}, {"ell": ell, "amp": amp, "sigma": sigma}, expected


@case
def lotka_volterra():
    ts, y0 = np.arange(1.0, 6.0), np.array([30.0, 4.0])
    y = np.array([[47.2, 6.1], [70.2, 9.8], [77.4, 35.2], [36.3, 59.4], [20.6, 41.7]])
    a, b, c, d = 0.55, 0.028, 0.84, 0.026
    z0, sigma = np.array([33.0, 6.0]), np.array([0.25, 0.3])
    path = integrate.solve_ivp(
        lambda t, z: [(a - b * z[1]) * z[0], (d * z[0] - c) * z[1]], (0, 5), z0, "DOP853", ts, rtol=1e-12, atol=1e-12
    ).y.T
    expected = sum(
        stats.truncnorm(-loc / scale, np.inf, loc, scale).logpdf(x)
        for x, loc, scale in ((a, 1, 0.5), (b, 0.05, 0.05), (c, 1, 0.5), (d, 0.05, 0.05))
    )
    for x, loc, scale in ((z0, np.log(10), 1), (sigma, -1, 1), (y0, np.log(z0), sigma), (y, np.log(path), sigma)):
        expected += stats.lognorm(scale, scale=np.exp(loc)).logpdf(x).sum()
    values = {"a": a, "b": b, "c": c, "d": d, "z0": z0, "sigma": sigma}
    return {"ts": ts, "y0": y0, "y": y}, values, expected


@case
def irt_2pl():
    item, person, correct = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), [1, None, 0, 1]
    L, tau, mu = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([0.5, 2.0]), np.array([0.1, -0.3])
    theta, xi, known = np.array([0.4, -1.0]), np.array([[0.1, 0.5], [-0.2, 0.3], [0.7, -1.0]]), [0, 2, 3]
    covariance = np.diag(tau) @ L @ L.T @ np.diag(tau)
    # The correlation r has density (1 - r^2)^3 / (2^7 B(4, 4)).
    expected = 6 * np.log(L[1, 1]) - 7 * np.log(2.0) - special.betaln(4, 4)
    expected += stats.expon(scale=10).logpdf(tau).sum() + normal(mu, 0, np.array([1, 5])) + normal(theta, 0, 1)
    expected += stats.multivariate_normal(mu, covariance).logpdf(xi).sum()
    expected += bernoulli([1, 0, 1], (np.exp(xi[item, 0]) * (theta[person] - xi[item, 1]))[known])
    data = {"item": item, "person": person, "correct": correct, "I": 3, "J": 2}
    return data, {"L": L, "tau": tau, "mu": mu, "theta": theta, "xi": xi}, expected


@case
def censored_survival():
    X, time, event = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]), np.array([1.0, 2.5, 0.4]), np.array([1, 0, 1])
    b0, beta, shape = 0.4, np.array([-0.3, 0.2]), 1.3
    weibull = stats.weibull_min(shape, scale=np.exp(b0 + X @ beta))
    expected = normal(b0, 0, 5) + normal(beta, 0, 1) + stats.gamma(2).logpdf(shape)
    expected += np.where(event, weibull.logpdf(time), weibull.logsf(time)).sum()
    return {"X": X, "time": time, "event": event}, {"b0": b0, "beta": beta, "shape": shape}, expected


@case
def icar():
    a, b, y, exposure = np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([3, 0, 2, 5]), np.array([1.0, 0.5, 2, 1])
    b0, phi = 0.3, np.array([0.1, -0.3, 0.2, 0.004])
    expected = normal(b0, 0, 1) - 0.5 * np.sum((phi[a] - phi[b]) ** 2) + normal(phi.sum(), 0, 0.004)
    expected += stats.poisson(exposure * np.exp(b0 + phi)).logpmf(y).sum()
    return {"a": a, "b": b, "y": y, "expo": exposure}, {"b0": b0, "phi": phi}, expected
