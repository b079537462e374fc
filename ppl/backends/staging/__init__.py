"""Staging: value and gradient recorded once, made into a flat program of NumPy calls, and replayed without autograd.

`recording` writes one run down, `translate` makes a graph of it, `build` simplifies, `lower` and `emit` write the
program, `stages` decides when to do all this and checks the first replay. `tangents` adds what it takes for exact
Hessian-vector products to the graph of a gradient, `products` makes programs of that.
"""

from ppl.backends.staging.products import StagedProducts, eager_products, products_program
from ppl.backends.staging.recording import NotRecordable, value_and_grad, values_and_slopes
from ppl.backends.staging.stages import STAGE_AFTER, Stage, StagedFunction, staged_program, staged_value_and_grad

__all__ = [
    "STAGE_AFTER",
    "NotRecordable",
    "Stage",
    "StagedFunction",
    "StagedProducts",
    "eager_products",
    "products_program",
    "staged_program",
    "staged_value_and_grad",
    "value_and_grad",
    "values_and_slopes",
]
