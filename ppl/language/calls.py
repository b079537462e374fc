"""Whether every call, type and guide note of a program exists.

| code | what |
| --- | --- |
| E105 | not a distribution |
| E106 | not a function |
| E108 | not a type |
| E109 | not a guide note |
| E110 | a text where a value should be |
| E127 | arguments that a note does not take |
| E128 | a note on a statement that it has no meaning for |
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from ppl.distributions.base import DISTRIBUTIONS
from ppl.errors import Diagnostic
from ppl.functions.base import FUNCTIONS
from ppl.language import syntax
from ppl.language.scopes import Scopes
from ppl.language.vocabulary import (
    COMBINATORS,
    FOREIGN_WARNINGS,
    FORMS,
    TAKES_DISTRIBUTIONS,
    known_types,
    own_distribution,
)
from ppl.language.walk import (
    MODEL,
    PREDICT,
    Placed,
    children,
    expressions,
    statements,
    target_binders,
    target_of,
)
from ppl.model.notes import NOTES, misfit, misplaced, unknown
from ppl.source import nearest


def check_calls(program: syntax.Program, scopes: Scopes) -> list[Diagnostic]:
    """All errors of calls, types and notes; two functions of one name too."""
    checker = _Checker(_Names.of(program), scopes)
    found = list(_repeated_functions(program))
    for placed in statements(program):
        found.extend(checker.statement(placed))
    return found


@dataclass(frozen=True)
class _Names:
    """What may be called."""

    distributions: frozenset[str]
    functions: frozenset[str]
    submodels: frozenset[str]
    nets: frozenset[str]

    @classmethod
    def of(cls, program: syntax.Program) -> _Names:
        own = [s.name.name for s in program.statements if isinstance(s, syntax.Def | syntax.Net)]
        submodels = [s.name.name for s in program.statements if isinstance(s, syntax.Submodel | syntax.Use)]
        distributions = frozenset(DISTRIBUTIONS) | frozenset(COMBINATORS)
        nets = frozenset(s.name.name for s in program.statements if isinstance(s, syntax.Net))
        return cls(distributions, frozenset(FUNCTIONS) | FORMS | frozenset(own), frozenset(submodels), nets)


def _repeated_functions(program: syntax.Program) -> Iterator[Diagnostic]:
    first: dict[str, syntax.Name] = {}
    for statement in program.statements:
        if isinstance(statement, syntax.Def | syntax.Net | syntax.Submodel | syntax.Use):
            name = statement.name
            earlier = first.setdefault(name.name, name)
            if earlier is not name:
                found = f"already defined at line {earlier.span.line}"
                yield Diagnostic("E104", name.span, found, "a name has one defining statement")


@dataclass(frozen=True)
class _Checker:
    names: _Names
    scopes: Scopes

    def statement(self, placed: Placed) -> Iterator[Diagnostic]:
        statement = placed.statement
        if isinstance(statement, syntax.Data | syntax.Param):
            yield from _type(statement.type)
        for part in expressions(statement):
            if isinstance(part, syntax.Note):
                yield from self.note(part, placed)
            elif isinstance(statement, syntax.Sample) and part is statement.distribution:
                yield from self.distribution(part, placed)
            else:
                yield from self.value(part, placed, texts=isinstance(statement, syntax.Net))

    def note(self, note: syntax.Note, placed: Placed) -> Iterator[Diagnostic]:
        if note.name not in NOTES:
            yield unknown(note.name, note.span)
        else:
            found = misfit(note.name, [self._kind(argument) for argument in note.arguments], note.span)
            keyword = next(iter(note.keywords), None)
            if keyword is not None and found is None:
                found = Diagnostic("E127", keyword.span, f"`@{note.name}` takes its argument by position")
            found = found or self._misplaced(note, placed)
            if found is not None:
                yield found
        for argument in (*note.arguments, *note.keywords):
            yield from self.value(argument, placed, texts=True)

    def _kind(self, argument: syntax.Expression) -> str:
        """What kind of argument of a note this is, as far as can be told from its form."""
        if isinstance(argument, syntax.Text):
            return "text"
        if isinstance(argument, syntax.Index) and isinstance(argument.base, syntax.Call):
            return self._kind(argument.base)
        if isinstance(argument, syntax.Call):
            name = argument.function.name
            return "network" if name in self.names.nets or name not in self.names.functions else ""
        return "number" if isinstance(argument, syntax.Number) else ""

    def _misplaced(self, note: syntax.Note, placed: Placed) -> Diagnostic | None:
        """A note that has no meaning for its statement."""
        statement, of_plates = placed.statement, NOTES[note.name].of_plates
        if placed.root == PREDICT:
            return misplaced(note.name, "a statement of `predict`, which is no part of the fit", note.span)
        if isinstance(statement, syntax.Sample):
            binders = target_binders(statement)
            if of_plates:
                return None if binders else misplaced(note.name, "a statement that is no plate", note.span)
            return misplaced(note.name, "an observed site", note.span) if self._observed(placed) else None
        if of_plates:
            scan = isinstance(statement, syntax.Scan)
            return misplaced(note.name, "a scan, whose steps depend on each other", note.span) if scan else None
        assert isinstance(statement, syntax.Plate | syntax.Scan)
        inside = [p for p in self.inside(statement) if isinstance(p, syntax.Sample)]
        latent = [s for s in inside if placed.root != MODEL or not self.scopes.is_data(s.target.name.name)]
        return None if latent else misplaced(note.name, "a block without a latent site", note.span)

    def _observed(self, placed: Placed) -> bool:
        target = target_of(placed.statement)
        return target is not None and placed.root == MODEL and self.scopes.is_data(target.name.name)

    def inside(self, block: syntax.Plate | syntax.Scan) -> Iterator[syntax.Statement]:
        for statement in block.body:
            yield statement
            if isinstance(statement, syntax.Plate | syntax.Scan):
                yield from self.inside(statement)

    def distribution(self, expression: syntax.Node, placed: Placed) -> Iterator[Diagnostic]:
        if isinstance(expression, syntax.Conditional):
            yield from self.distribution(expression.then, placed)
            yield from self.value(expression.condition, placed)
            yield from self.distribution(expression.otherwise, placed)
        elif not isinstance(expression, syntax.Call):
            yield Diagnostic("E105", expression.span, "not a distribution", "`~` draws from one; `=` defines a value")
        else:
            name = expression.function.name
            if name not in self.names.distributions | self.names.submodels:
                yield self._unknown_distribution(expression.function)
            yield from self._arguments(expression, placed)

    def value(self, expression: syntax.Node, placed: Placed, texts: bool = False) -> Iterator[Diagnostic]:
        if isinstance(expression, syntax.Text) and not texts:
            yield Diagnostic("E110", expression.span, "a text is not a value")
        if isinstance(expression, syntax.Call):
            name = expression.function.name
            if name not in self.names.functions:
                yield self._unknown_function(expression.function, placed)
            yield from self._arguments(expression, placed, texts)
        else:
            for part in children(expression):
                yield from self.value(part, placed, texts)

    def _arguments(self, call: syntax.Call, placed: Placed, texts: bool = False) -> Iterator[Diagnostic]:
        """Arguments of a call: values, and distributions where it takes them."""
        positions = TAKES_DISTRIBUTIONS.get(call.function.name, slice(0, 0))
        distributions = call.positional[positions]
        for argument in (*call.positional, *call.keywords):
            if argument in distributions:
                yield from self.distribution(argument, placed)
            else:
                yield from self.value(argument, placed, texts)

    def _unknown_distribution(self, function: syntax.Name) -> Diagnostic:
        name = function.name
        own = own_distribution(name, self.names.distributions)
        expected = FOREIGN_WARNINGS.get(name) or (f"did you mean `{own}`?" if own else "")
        if name in self.names.functions and not expected:
            expected = "it is a function: `=` defines a value"
        expected = expected or _meant(name, self.names.distributions | self.names.submodels)
        return Diagnostic("E105", function.span, f"`{name}` is not a distribution", expected)

    def _unknown_function(self, function: syntax.Name, placed: Placed) -> Diagnostic:
        name = function.name
        if name in self.names.distributions:
            expected = f"it is a distribution: draw with `x ~ {name}(…)`"
        elif name in self.names.submodels:
            expected = f"it is a submodel: call it as `x ~ {name}(…)`"
        elif self.scopes.find(name, placed) is not None:
            expected = f"indices stand in brackets: `{name}[…]`"
        else:
            expected = _meant(name, self.names.functions)
        return Diagnostic("E106", function.span, f"`{name}` is not a function", expected)


def _type(type_: syntax.TypeExpression) -> Iterator[Diagnostic]:
    name = type_.name
    if name.name not in known_types():
        expected = FOREIGN_TYPES.get(name.name) or _meant(name.name, known_types())
        yield Diagnostic("E108", name.span, f"`{name.name}` is not a type", expected)


FOREIGN_TYPES = {
    "vector": "an array is `real[N]`",
    "row_vector": "an array is `real[N]`",
    "matrix": "a matrix is `real[N, M]`",
    "array": "an array is `real[N]` or `int[N, M]`",
    "float": "write `real`",
    "double": "write `real`",
    "integer": "write `int`",
    "boolean": "write `bool`",
    "cov_matrix": "write `positive_definite(K)`",
    "cholesky_factor_corr": "write `corr_cholesky(K)`",
    "cholesky_factor_cov": "write `cov_cholesky(K)`",
}


def _meant(name: str, known: Set[str], prefix: str = "") -> str:
    close = nearest(name, known)
    return f"did you mean `{prefix}{close}`?" if close else ""
