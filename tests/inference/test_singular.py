"""A singular matrix is no error: the density has no number there, and that of the other points is untouched."""

import numpy as np

from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.target import Target
from ppl.program import parse

MODEL = """
data N: int
data y: real[N, 2]
s ~ half_normal(1)
L ~ lkj_cholesky(2, 2)
plate n in N {
  y[n] ~ multi_normal([0, 0], chol = s * L)
}
"""


def test_other_points_keep_their_density():
    bound = parse(MODEL).bind({"y": [[0.1, 0.4], [-1.0, 0.3]]})
    plan = bound.plan()
    target = Target(plan, bound.data, choose_guide(plan), get_backend())
    rows = np.array([[0.0, 0.1], [-800.0, 0.0], [0.3, -0.2], [0.1, 0.5], [-900.0, 1.0]])
    sound = [0, 2, 3]
    values, gradients = target.value_and_gradient(rows)
    assert not np.isfinite(values[[1, 4]]).any()
    np.testing.assert_allclose(values[sound], target.log_density(rows[sound]))
    np.testing.assert_allclose(target.log_density(rows)[sound], values[sound])
    np.testing.assert_allclose(gradients[sound], target.gradient(rows[sound]))
    np.testing.assert_allclose(target.gradient(rows)[sound], gradients[sound])
    assert target.hessians(rows[1:2], np.full(2, 1e-4)).shape == (1, 2, 2)
