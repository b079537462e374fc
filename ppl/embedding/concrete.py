"""What is answered where Python wants a plain number of a symbol: `if`, `float`, `int`, `range`, `math.exp`, …"""

from __future__ import annotations

import ast

from ppl.embedding.operand import Operand
from ppl.embedding.spans import Parts, caller_span, parts_of
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS
from ppl.model.expressions import Expr, values_read

_PAIRWISE = {"max": "np.maximum", "min": "np.minimum"}
_BUILTINS = {"max": "np.max", "min": "np.min", "sorted": "np.sort"}
_COMPARISONS: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
_AS_ARRAY = frozenset({"array", "asarray", "asanyarray"})


def needs_number(operand: Operand, wanted: str) -> ModelError:
    """The error for a symbol where `wanted` (`"a truth value"`, `"one number"`) is needed."""
    span = caller_span()
    parts = parts_of(span)
    fix = _fix(parts, wanted) if parts is not None else _general_fix(wanted, "…")
    return ModelError.of("E310", span, f"{wanted} is needed here, but {_reason(operand.expression)}", fix=fix)


def _reason(expression: Expr) -> str:
    names = sorted(values_read(expression))
    if names:
        listed = ", ".join(f"`{name}`" for name in names)
        return f"this depends on {listed}, unknown until the model is fitted"
    if expression.type.axes:
        listed = ", ".join(f"`{axis.name}`" for axis in expression.type.axes)
        return f"this stands for every value of the index {listed} at once"
    return f"this has shape {list(expression.type.event)}"


def _fix(parts: Parts, wanted: str) -> str:
    """What to write instead, from what was written."""
    node = parts.node
    if isinstance(node, ast.Call):
        return _fix_call(node, parts, wanted)
    if isinstance(node, ast.Subscript):
        value, *items = (operand.text for operand in parts.operands)
        return f"write: ppl.array({value})[{', '.join(items)}]"
    if isinstance(node, ast.BoolOp):
        name = "np.logical_and" if isinstance(node.op, ast.And) else "np.logical_or"
        return f"write: {name}({', '.join(ast.unparse(value) for value in node.values[:2])})"
    if isinstance(node, ast.IfExp):
        return f"write: np.where({', '.join(ast.unparse(part) for part in (node.test, node.body, node.orelse))})"
    if isinstance(node, ast.Compare) and len(node.comparators) == 2:
        low, middle, high = (ast.unparse(part) for part in (node.left, *node.comparators))
        first, second = (_COMPARISONS[type(operator)] for operator in node.ops)
        return f"write: np.logical_and({low} {first} {middle}, {middle} {second} {high})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return f"write: np.logical_not({ast.unparse(node.operand)})"
    return _general_fix(wanted, ast.unparse(node))


def _fix_call(node: ast.Call, parts: Parts, wanted: str) -> str:
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    written = ", ".join(operand.text for operand in parts.operands)
    if name in _PAIRWISE and len(parts.operands) == 2:
        return f"write: {_PAIRWISE[name]}({written})"
    if name in _BUILTINS:
        return f"write: {_BUILTINS[name]}({written})"
    if name in ("bool", "float", "int"):
        return f"leave it as it is: {written}" if name != "bool" else _general_fix(wanted, written)
    if last in _AS_ARRAY:
        return f"write: np.stack({written})" if written.startswith(("[", "(")) else f"leave it as it is: {written}"
    equivalent = _equivalent(last)
    return f"write: {equivalent}({written})" if equivalent else _general_fix(wanted, written)


def _equivalent(name: str) -> str | None:
    """`np.exp` for `exp`, `ppl.log_sum_exp` for `logsumexp`."""
    for function in FUNCTIONS.values():
        for known in function.numpy:
            module, _, last = known.rpartition(".")
            if last == name:
                return known.replace("numpy.", "np.") if module.startswith("numpy") else f"ppl.{function.name}"
    return f"ppl.{name}" if name in FUNCTIONS else {"lgamma": "ppl.log_gamma", "pow": "np.power"}.get(name)


def _general_fix(wanted: str, written: str) -> str:
    if wanted == "a truth value":
        return f"write: np.where({written}, …, …), which computes both"
    return "use np functions, which work on symbols; sizes and loops must follow from the data"
