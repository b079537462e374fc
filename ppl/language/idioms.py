"""What other languages write, and what this one writes instead.

Two tables. `FOREIGN_CHARACTERS` is tried where a character cannot be read, `IDIOMS` on a statement that does
not parse; the first entry that matches answers. Nothing here is looked at in a text without errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ppl.errors import Diagnostic
from ppl.source import Source, Span


def _characters(pattern: str, found: str, expected: str) -> tuple[re.Pattern[str], str, str]:
    return re.compile(pattern), found, expected


FOREIGN_CHARACTERS = (
    _characters(r";", "`;` is not needed", "a statement ends with its line"),
    _characters(r"\.[*/^]", "there are no dotted operators", "`*`, `/` and `^` are elementwise already"),
    _characters(r"\.", "names have no parts", "functions stand alone, as in `exp(x)`"),
    _characters(r"&&?", "`&` is not an operator", "write `and`"),
    _characters(r"\|\|", "`||` is not an operator", "write `or`"),
    _characters(r"\|", "`|` is not an operator", "a density is `y ~ normal(m, s)` or `logpdf(normal(m, s), y)`"),
    _characters(r"!", "`!` is not an operator", "write `not`"),
    _characters(r"\?", "`?` is not an operator", "a conditional is `a if condition else b`"),
    _characters(r"'[^'\n]*'", "a text stands in double quotes", '`"…"`'),
    _characters(r"'", "`'` is not an operator", "a transposed matrix is `transpose(x)`"),
    _characters(r'"', "this text is not closed", 'it ends with `"` on the same line'),
)

_TARGET = r"(?P<target>[A-Za-z_]\w*(?:\[[^\]]*\])?)"
_STAN_TYPES = (
    r"(?:real|int|complex|vector|row_vector|matrix|array|simplex|ordered|positive_ordered|unit_vector"
    r"|cov_matrix|corr_matrix|cholesky_factor_\w+)"
)


@dataclass(frozen=True)
class Idiom:
    """`pattern` is searched in a statement; its group `at` (or the whole match) is marked.

    `found`, `expected` and `fix` may use the pattern's groups as `{group}`.
    """

    pattern: re.Pattern[str]
    found: str
    expected: str = ""
    fix: str = ""


def _idiom(pattern: str, found: str, expected: str = "", fix: str = "") -> Idiom:
    return Idiom(re.compile(pattern, re.DOTALL), found, expected, fix)


IDIOMS = (
    _idiom(
        r"^use\s+(?P<name>\w+)\s+from\s+(?P<at>(?P<file>[^\s\"]+))$",
        "the file is a text",
        fix='write: use {name} from "{file}"',
    ),
    _idiom(
        r"^for\s*\(\s*(?P<name>\w+)\s+in\s+(?:1\s*:\s*)?(?P<range>.+)\)$",
        "there is no `for` loop",
        "independent iterations are a `plate`, steps that read earlier ones a `scan`",
        "write: plate {name} in {range} {{",
    ),
    _idiom(
        r"^for\s+(?P<name>\w+)\s+in\s+range\((?P<range>[^(),]+)\)\s*:?$",
        "there is no `for` loop",
        "independent iterations are a `plate`, steps that read earlier ones a `scan`",
        "write: plate {name} in {range} {{",
    ),
    _idiom(r"^(?P<at>for|while)\b", "there are no loops", "a block is `plate i in N {{ … }}` or `scan t in T {{ … }}`"),
    _idiom(r"^(?P<at>if|else|elif)\b", "there is no `if` statement", "a conditional is `x = a if condition else b`"),
    _idiom(
        r"^(?:transformed\s+data|transformed\s+parameters|generated\s+quantities|data|parameters|model|functions)$",
        "there are no sections",
        "declare data as `data N: int`, write statements at the top level, and new draws in `predict {{ … }}`",
    ),
    _idiom(
        r"^(?P<at>target\s*\+=)\s*(?P<value>[^|]+)$",
        "terms of the log density have names",
        fix="write: factor term = {value}",
    ),
    _idiom(r"^(?P<at>target\s*\+=)", "terms of the log density have names", "write `factor term = …`"),
    _idiom(rf"^{_TARGET}\s*(?P<at>[-+*/]=)", "`{target}` would be defined twice", "a name has one defining statement"),
    _idiom(
        rf"^{_TARGET}\s*(?P<at><-|:=)\s*(?P<value>.+)$",
        "`{at}` does not define",
        "`=` defines and `~` draws",
        "write: {target} = {value}",
    ),
    _idiom(
        r"^(?P<at>(?P<type>real|int)\s*<(?P<bounds>[^>]*)>)\s*(?P<name>\w+)$",
        "a type stands behind the name, its bounds in parentheses",
        "only data are declared",
        "write: data {name}: {type}({bounds})",
    ),
    _idiom(
        r"(?P<at>(?P<type>real|int)\s*<(?P<bounds>[^>]*)>)",
        "bounds stand in parentheses",
        "`{type}({bounds})`",
    ),
    _idiom(
        r"^(?P<at>(?P<type>real|int)\s+(?P<name>\w+))$",
        "a type stands behind the name",
        "only data are declared",
        "write: data {name}: {type}",
    ),
    _idiom(
        rf"^(?P<at>{_STAN_TYPES}\b(?:\s*<[^>]*>)?(?:\s*\[[^\]]*\])?)\s*\w",
        "a type before a name",
        "data are declared as `data y: real[N]`, other names by their `~` or `=`",
    ),
    _idiom(r"(?P<at>\*\*)", "`**` is not an operator", "the power is `^`"),
    _idiom(r"(?P<at>%\*%)", "`%*%` is not an operator", "the matrix product is `@`"),
    _idiom(r"(?P<at>/\*|\*/)", "`{at}` is not a comment", "comments start with `#`"),
    _idiom(
        r"\)\s*(?P<at>[TI]\s*[\[(].*)$",
        "a truncated distribution is a distribution of its own",
        "write `truncated(d, lower=…, upper=…)`",
    ),
    _idiom(rf"^{_TARGET}\s*(?P<at>==)", "`==` compares", "a definition is written with `=`"),
    _idiom(r"^\w+\[[^\]]*(?P<at>\]\s*\[)", "indices stand in one bracket", "write `x[i, j]`"),
    _idiom(
        r"(?<!\w)(?P<at>(?P<number>\d+\.?\d*)(?P<name>[A-Za-z_]\w*))",
        "a product needs its `*`",
        "write `{number} * {name}`",
    ),
    _idiom(r"(?P<at>//.*)$", "`//` divides and rounds down", "comments start with `#`"),
)


def recognise(source: Source, span: Span, error_at: int) -> Diagnostic | None:
    """The answer to a foreign idiom in `span`, if one stands at or before the place where parsing failed."""
    for idiom in IDIOMS:
        match = idiom.pattern.search(span.text)
        if match is None:
            continue
        groups = {name: (text or "").strip() for name, text in match.groupdict().items()}
        start, end = match.span("at" if "at" in groups else 0)
        if span.start + start <= error_at:
            where = source.span(span.start + start, span.start + end)
            texts = (text.format(**groups) for text in (idiom.found, idiom.expected, idiom.fix))
            return Diagnostic("E007", where, *texts)
    return None
