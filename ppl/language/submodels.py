"""Submodel calls written out: `beta ~ horseshoe(D, 0.1)` becomes the statements of `horseshoe`.

The names of the submodel get the left-hand name in front (`beta.tau`) and the indices of the left side
(`beta.tau[j]`). What it returns is the left-hand name itself: the site or value of that name in the body, or else a
definition. Arguments stand in place of the parameters.

| code | what |
| --- | --- |
| E124 | arguments that do not fit the parameters |
| E125 | a submodel that calls itself |
| E126 | data observed through a computed value, or a note on one |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ppl.errors import Diagnostic, ModelError
from ppl.language import syntax
from ppl.language.uses import File, open_file
from ppl.language.vocabulary import TAKES_FUNCTION
from ppl.source import nearest

_Sited = syntax.Sample | syntax.Assign | syntax.Factor
_Submodels = tuple[syntax.Submodel, ...]


def expand(program: syntax.Program) -> syntax.Program:
    """The program with every submodel call written out, and the `def`s that they need.

    Paths of `use` count from the folder of the program's source. Raises ModelError with all errors.
    """
    if not any(isinstance(statement, syntax.Submodel | syntax.Use) for statement in program.statements):
        return program
    data = {name.name for s in program.statements if isinstance(s, syntax.Data) for name in s.names}
    expander = _Expander(frozenset(data))
    file = open_file(program, Path(program.source.name))
    kept = [s for s in program.statements if not isinstance(s, syntax.Submodel | syntax.Use)]
    statements = [new for statement in kept for new in expander.statement(statement, file)]
    if expander.errors:
        raise ModelError(expander.errors)
    return replace(program, statements=(*expander.functions.values(), *statements))


class _Expander:
    """Goes through statements and writes the calls out; `functions` collects the `def`s of other files."""

    def __init__(self, data: frozenset[str]) -> None:
        self.data = data
        self.errors: list[Diagnostic] = []
        self.functions: dict[str, syntax.Def] = {}

    def statement(self, statement: syntax.Statement, file: File, above: _Submodels = ()) -> Iterator[syntax.Statement]:
        """The statement with the calls in it written out, in the bodies of the submodels `above`.

        Names of submodels are those of `file`.
        """
        if isinstance(statement, syntax.Plate | syntax.Scan | syntax.Predict):
            body = tuple(new for inner in statement.body for new in self.statement(inner, file, above))
            yield replace(statement, body=body)
        elif isinstance(statement, syntax.Sample) and _called(statement) in file.models:
            try:
                yield from self._written_out(statement, file, above)
            except ModelError as error:
                self.errors.extend(error.diagnostics)
        else:
            yield statement

    def _written_out(self, sample: syntax.Sample, file: File, above: _Submodels) -> Iterator[syntax.Statement]:
        assert isinstance(sample.distribution, syntax.Call)
        call = sample.distribution
        submodel, home = file.models[call.function.name]
        if any(known is submodel for known in above):
            found = f"`{call.function.name}` calls itself"
            raise ModelError.of("E125", call.function.span, found, "a submodel is written out where it is called")
        inlined = _Inlined.of(sample, submodel, _bound(call, submodel), self._functions_of(home))
        self._check_returned(sample, inlined)
        copies = [copy for statement in submodel.body for copy in inlined.statement(statement)]
        body = tuple(new for copy in copies for new in self.statement(copy, home, (*above, submodel)))
        binders = [index for index in sample.target.indices if isinstance(index, syntax.Binder)]
        for binder in reversed(binders):
            body = (syntax.Plate(sample.span, binder, body, sample.target.span),)
        yield from body

    def _check_returned(self, sample: syntax.Sample, inlined: _Inlined) -> None:
        name = sample.target.name
        if inlined.returns_site:
            return
        if name.name in self.data:
            found = f"`{name.name}` is data, but what the submodel returns is no site of it"
            raise ModelError.of("E126", name.span, found, "return a name that is left of `~` in it")
        if sample.notes:
            raise ModelError.of("E126", sample.notes[0].span, "the submodel returns no site, which the note could mean")

    def _functions_of(self, home: File) -> dict[str, str]:
        """New names for the `def`s of another file, which are added to the program; the program's own keep theirs."""
        if not home.tag:
            return {}
        names = {name: f"{name}@{home.tag}" for name in home.functions}
        for name, definition in home.functions.items():
            if names[name] not in self.functions:
                renamed = _Renamed({}, names)
                body = tuple(renamed.plain(statement) for statement in definition.body)
                self.functions[names[name]] = replace(
                    definition, name=replace(definition.name, name=names[name]), body=body
                )
        return names


def _called(sample: syntax.Sample) -> str:
    return sample.distribution.function.name if isinstance(sample.distribution, syntax.Call) else ""


def _bound(call: syntax.Call, submodel: syntax.Submodel) -> dict[str, syntax.Expression]:
    """The argument of each parameter."""
    names = [parameter.name for parameter in submodel.parameters]
    takes = f"{submodel.name.name}({', '.join(names)}) takes {len(names)} argument{'s' * (len(names) != 1)}"
    count = len(call.positional) + len(call.keywords)
    arguments = dict(zip(names, call.positional, strict=False))
    for keyword in call.keywords:
        if keyword.name not in names:
            near = nearest(keyword.name, names)
            found = f"{submodel.name.name} has no parameter `{keyword.name}`"
            raise ModelError.of("E124", keyword.span, found, f"did you mean `{near}`?" if near else takes)
        if keyword.name in arguments:
            raise ModelError.of("E124", keyword.span, f"`{keyword.name}` is given twice")
        arguments[keyword.name] = keyword.value
    if len(call.positional) > len(names) or len(arguments) < len(names):
        missing = ", ".join(f"`{name}`" for name in names if name not in arguments)
        raise ModelError.of("E124", call.span, f"{takes}, {count} given" + (f": {missing} missing" if missing else ""))
    return arguments


@dataclass(frozen=True)
class _Renamed:
    """Expressions with parameters replaced by `arguments` and functions called by other names."""

    arguments: Mapping[str, syntax.Expression]
    functions: Mapping[str, str]

    def plain(self, node: Any) -> Any:
        """A node, or a tuple of them, with everything in it renamed."""
        if isinstance(node, tuple):
            return tuple(self.plain(part) for part in node)
        if isinstance(node, syntax.Name):
            return self.name(node)
        if not isinstance(node, syntax.Node):
            return node
        changed = {field.name: self.plain(getattr(node, field.name)) for field in fields(node)}
        if isinstance(node, syntax.Call):
            changed["function"] = self._function(node.function)
            if node.function.name in TAKES_FUNCTION and node.positional and isinstance(node.positional[0], syntax.Name):
                changed["positional"] = (self._function(node.positional[0]), *changed["positional"][1:])
        return replace(node, **changed)

    def _function(self, node: syntax.Name) -> syntax.Name:
        return replace(node, name=self.functions.get(node.name, node.name))

    def name(self, node: syntax.Name) -> syntax.Expression:
        return self.arguments.get(node.name, node)


@dataclass(frozen=True)
class _Inlined(_Renamed):
    """The body of a submodel as it reads at one call.

    `own` maps the names that belong to the whole submodel to their new ones, which take the indices of the left side;
    `local` those of blocks: indices, and values without any. `returned` is the name in the body that is the left side.
    """

    sample: syntax.Sample
    own: Mapping[str, str]
    local: Mapping[str, str]
    returned: str
    returns_site: bool

    @classmethod
    def of(
        cls,
        sample: syntax.Sample,
        submodel: syntax.Submodel,
        arguments: Mapping[str, syntax.Expression],
        functions: Mapping[str, str],
    ) -> _Inlined:
        left = sample.target.name.name
        targets = list(_targets(submodel.body))
        own = {target.name.name: f"{left}.{target.name.name}" for target, whole in targets if whole}
        local = {target.name.name: f"{left}.{target.name.name}" for target, whole in targets if not whole}
        local |= {name: f"{left}.{name}" for name in _bound_names(submodel)}
        result = next(s.value for s in submodel.body if isinstance(s, syntax.Return))
        returned = result.name if isinstance(result, syntax.Name) and result.name in own else ""
        if returned:
            own[returned] = left
        sites = {s.target.name.name for s in _below(submodel.body) if isinstance(s, syntax.Sample)}
        return cls(arguments, functions, sample, own, local, returned, returned in sites)

    @property
    def indices(self) -> tuple[syntax.Expression, ...]:
        """The indices of the left side, as they are read."""
        return tuple(i.name if isinstance(i, syntax.Binder) else i for i in self.sample.target.indices)

    def statement(self, statement: syntax.Statement) -> Iterator[syntax.Statement]:
        """The statement at this call; a `return` of what has no name in the body becomes a definition."""
        if isinstance(statement, syntax.Return):
            if not self.returned:
                target = replace(self.sample.target, indices=self.indices)
                yield syntax.Assign(self.sample.span, target, self.plain(statement.value))
        elif isinstance(statement, syntax.Plate | syntax.Scan):
            body = tuple(new for inner in statement.body for new in self.statement(inner))
            yield replace(statement, binder=self.plain(statement.binder), body=body, notes=self.plain(statement.notes))
        elif isinstance(statement, _Sited):
            changed = replace(self.plain(statement), target=self._target(statement))
            if isinstance(changed, syntax.Sample) and statement.target.name.name == self.returned:
                changed = replace(changed, notes=(*self.sample.notes, *changed.notes))
            yield changed
        else:
            yield statement

    def _target(self, statement: _Sited) -> syntax.Target:
        target, name = statement.target, statement.target.name.name
        indices = self.plain(target.indices)
        if name not in self.own:
            return replace(target, name=replace(target.name, name=self.local[name]), indices=indices)
        if name == self.returned:
            return replace(self.sample.target, indices=(*self.indices, *indices))
        return replace(target, name=replace(target.name, name=self.own[name]), indices=(*self.indices, *indices))

    def plain(self, node: Any) -> Any:
        if isinstance(node, syntax.Index) and isinstance(node.base, syntax.Name) and node.base.name in self.own:
            base = replace(node.base, name=self.own[node.base.name])
            return syntax.Index(node.span, base, (*self.indices, *self.plain(node.items)))
        if isinstance(node, syntax.Binder):
            return replace(node, name=replace(node.name, name=self.local[node.name.name]), range=self.plain(node.range))
        if isinstance(node, syntax.Range):
            stop = self.plain(node.stop)
            start = None if node.start is None else self.plain(node.start)
            return syntax.Range(stop.span if start is None else node.span, start, stop)
        return super().plain(node)

    def name(self, node: syntax.Name) -> syntax.Expression:
        if node.name in self.own:
            renamed = replace(node, name=self.own[node.name])
            return syntax.Index(node.span, renamed, self.indices) if self.indices else renamed
        if node.name in self.local:
            return replace(node, name=self.local[node.name])
        return super().name(node)


# What a body holds ------------------------------------------------------------------------------------


def _below(body: tuple[syntax.Statement, ...]) -> Iterator[syntax.Statement]:
    for statement in body:
        yield statement
        if isinstance(statement, syntax.Plate | syntax.Scan):
            yield from _below(statement.body)


def _targets(body: tuple[syntax.Statement, ...], inside: bool = False) -> Iterator[tuple[syntax.Target, bool]]:
    """Every left side, and whether its name belongs to the whole submodel."""
    for statement in body:
        if isinstance(statement, syntax.Plate | syntax.Scan):
            yield from _targets(statement.body, True)
        elif isinstance(statement, _Sited):
            local = inside and isinstance(statement, syntax.Assign) and not statement.target.indices
            yield statement.target, not local


def _bound_names(node: Any) -> Iterator[str]:
    """The indices of plates, scans and comprehensions anywhere below."""
    if isinstance(node, tuple):
        for part in node:
            yield from _bound_names(part)
    elif isinstance(node, syntax.Node):
        if isinstance(node, syntax.Binder):
            yield node.name.name
        for field in fields(node):
            yield from _bound_names(getattr(node, field.name))
