"""Random differentiable functions of an array, over the operations that generated programs use."""

import autograd.numpy as anp
import numpy as np
from hypothesis import strategies as st

SHAPE = (3, 4)
INDEX = np.array([2, 0, 0, 1])
ROW, COLUMN, FULL = np.array([0.7, -1.3, 0.4, 2.0]), np.array([[1.5], [-0.5], [0.2]]), np.linspace(-1, 2, 12)
FULL = FULL.reshape(SHAPE)
NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0, -3.0)

UNARY = {
    "negative": lambda x: -x,
    "exp": lambda x: anp.exp(anp.tanh(x)),
    "log of exp": lambda x: anp.log(anp.exp(anp.tanh(x))),
    "log": lambda x: anp.log(1.0 + x * x),
    "log1p": lambda x: anp.log1p(x**2),
    "softplus": lambda x: anp.logaddexp(0.0, x),
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "first power": lambda x: x**1,
    "root": lambda x: anp.sqrt(1.0 + x * x),
    "inverse root": lambda x: (1.0 + x * x) ** -0.5,
    "reciprocal": lambda x: 1.0 / (2.0 + anp.tanh(x)),
    "sine": anp.sin,
    "guarded": lambda x: anp.where(x > 0.1, x, 0.0),
    "total beside": lambda x: x - anp.sum(x, axis=-1, keepdims=True),
    "mean beside": lambda x: x * anp.mean(x, axis=0, keepdims=True),
    "columns": lambda x: x * x[:, :1] - x[:, 1:2],
    "dropped column": lambda x: x + x[:, 0][:, None] * x[:, 3][:, None],
    "row along columns": lambda x: x * anp.exp(anp.tanh(x[0])),
    "reshaped row": lambda x: x + anp.sin(anp.reshape(x[:1, :], (4,))) / (1.5 + anp.tanh(anp.reshape(x[1:2, :], (4,)))),
    "column by itself": lambda x: x + (anp.log(1.0 + x[:, 0] ** 2) * x[:, 1])[:, None],
    "mean of a column": lambda x: x * anp.mean(x[:, 1]) - anp.mean(anp.exp(anp.tanh(x[2]))),
    "totals of both kinds": lambda x: x + anp.sum(x, axis=0) - anp.sum(x, axis=1)[:, None],
    "reversed": lambda x: x + x[:, ::-1],
    "transposed twice": lambda x: (x.T * 2.0).T,
    "reshaped": lambda x: anp.reshape(anp.reshape(x, (4, 3)) * 0.5, SHAPE),
    "gathered": lambda x: x + x[:, INDEX],
    "rows gathered": lambda x: x[np.array([1, 1, 0]), :] * x,
    "pairs": lambda x: x + x[np.array([0, 2, 2])[:, None], INDEX],
    "product": lambda x: anp.matmul(anp.matmul(x, x.T), x) / 10.0,
    "softmax": lambda x: anp.exp(x - anp.max(x, axis=1, keepdims=True)) / anp.sum(anp.exp(x), axis=1)[:, None],
    "running sum": lambda x: anp.cumsum(x, axis=1),
    "joined": lambda x: anp.concatenate([x[:, 2:], x[:, :2] * 3.0], axis=1),
}
BINARY = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (1.5 + anp.tanh(y)),
    "standardise": lambda x, y: (x - y) / anp.exp(anp.tanh(y[:, :1])),
    "square of a difference": lambda x, y: -0.5 * (x - y) ** 2,
    "maximum": lambda x, y: anp.maximum(x, y),
    "choice": lambda x, y: anp.where(x > y, x * y, y),
}
CONSTANTS = (ROW, COLUMN, FULL, *NUMBERS)
ENDS = {
    "sum": anp.sum,
    "mean": anp.mean,
    "sum of sums": lambda x: anp.sum(anp.sum(x, axis=1)),
    "mean of sums": lambda x: anp.mean(anp.sum(x, axis=1) - 2.0),
    "log density": lambda x: anp.sum(anp.sum(-0.5 * x**2 - anp.log(2.0 + anp.tanh(x[:, :1])) - 0.9, axis=1)),
    "weighted": lambda x: anp.sum(anp.sum(x, axis=1) * COLUMN[:, 0]),
    "largest": lambda x: anp.sum(anp.max(x, axis=0)),
}


@st.composite
def functions(draw):
    """A function from (3, 4) to a number. Later steps read any earlier ones, so that parts are shared."""
    steps = []
    for _ in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(("unary", "binary", "constant")))
        reads = [draw(st.integers(0, len(steps))) for _ in range(2)]
        if kind == "unary":
            steps.append((UNARY[draw(st.sampled_from(sorted(UNARY)))], reads[:1], None))
        else:
            other = CONSTANTS[draw(st.integers(0, len(CONSTANTS) - 1))] if kind == "constant" else None
            steps.append((BINARY[draw(st.sampled_from(sorted(BINARY)))], reads, other))
    end = ENDS[draw(st.sampled_from(sorted(ENDS)))]

    def function(x):
        values = [x]
        for step, reads, constant in steps:
            arguments = [values[place] for place in reads]
            if constant is not None:
                full = np.broadcast_to(constant, SHAPE)
                arguments = [arguments[0], full] if reads[1] % 2 else [full, arguments[0]]
            value = step(*arguments)
            values.append(3.0 * anp.tanh(value / 3.0) if len(values) % 3 == 0 else value)  # so that nothing explodes
        return end(values[-1] + 0.1 * sum(values))

    return function
