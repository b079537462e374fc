"""Whether every name of a program means something.

| code | what |
| --- | --- |
| E101 | a name that is defined nowhere |
| E102 | a new latent whose name is close to that of data never used |
| E103 | an index or a local name outside its block |
| E104 | a name defined twice |
| E107 | a left side without the indices of the blocks around it |
| E115 | a statement that a `def` cannot hold |

Calls, types and notes are looked at in `calls.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from ppl.errors import Diagnostic
from ppl.language import syntax
from ppl.language.calls import check_calls
from ppl.language.scopes import Definition, Kind, Scopes, collect
from ppl.language.walk import MODEL, PREDICT, Placed, expressions, nodes, reads, statements, target_of
from ppl.source import Span, nearest

FOREIGN_CONSTANTS = {"true": "1", "false": "0", "TRUE": "1", "FALSE": "0", "True": "1", "False": "0"}


def check_names(program: syntax.Program) -> list[Diagnostic]:
    """All errors of the phase, in source order."""
    scopes = collect(program)
    functions = _function_names(program)
    found = [_repeated(*pair) for pair in scopes.repeated]
    for placed in statements(program):
        found.extend(_left_side(placed))
        found.extend(_in_definition(placed))
        found.extend(_reads(placed, scopes, functions))
        found.extend(_shadowing(placed, scopes))
    found.extend(check_calls(program, scopes))
    found.extend(_near_misses(program, scopes))
    return sorted(found, key=lambda record: record.span.start if record.span else 0)


# E104 -----------------------------------------------------------------------------------------------


def _repeated(earlier: Definition, later: Definition) -> Diagnostic:
    if earlier.span.start > later.span.start:
        earlier, later = later, earlier
    data = Kind.DATA in (earlier.kind, later.kind)
    if data and later.room == PREDICT:
        expected = f"`{later.name}` is data: give the new draw a name of its own"
    elif Kind.INDEX in (earlier.kind, later.kind):
        expected = "an index needs a name of its own"
    else:
        expected = "a name has one defining statement"
    return Diagnostic("E104", later.span, f"already defined at line {earlier.line}", expected)


def _shadowing(placed: Placed, scopes: Scopes) -> Iterator[Diagnostic]:
    """Comprehension indices that hide a name."""
    for expression in expressions(placed.statement):
        for node in nodes(expression):
            for binder in node.binders if isinstance(node, syntax.Comprehension) else ():
                earlier = scopes.find(binder.name.name, placed)
                if earlier is not None:
                    index = Definition(earlier.name, Kind.INDEX, binder.name.span, "")
                    yield _repeated(earlier, index)


# E115 -----------------------------------------------------------------------------------------------


def _in_definition(placed: Placed) -> Iterator[Diagnostic]:
    """A `def` is a plain function: values and what it returns."""
    statement = placed.statement
    if not placed.root.startswith("def ") or placed.blocks or isinstance(statement, syntax.Return | syntax.Def):
        return
    if isinstance(statement, syntax.Assign) and not statement.target.indices:
        return
    what = "an index on the left" if isinstance(statement, syntax.Assign) else f"`{_WORDS[type(statement)]}`"
    expected = "it holds `name = value` and a `return`"
    if isinstance(statement, syntax.Sample | syntax.Factor):
        expected = "write `model` instead of `def`, and call it after `~`"
    yield Diagnostic("E115", statement.span, f"a `def` cannot hold {what}", expected)


_WORDS = {syntax.Sample: "~", syntax.Factor: "factor", syntax.Plate: "plate", syntax.Scan: "scan"}


# E107 -----------------------------------------------------------------------------------------------


def _left_side(placed: Placed) -> Iterator[Diagnostic]:
    """Inside blocks a left side carries every index, and nothing but indices."""
    target = target_of(placed.statement)
    if target is None:
        return
    enclosing = [block.binder.name.name for block in placed.blocks]
    carried = Counter(index.name for index in target.indices if isinstance(index, syntax.Name))
    for index in target.indices:
        if isinstance(index, syntax.Binder):
            continue
        if not isinstance(index, syntax.Name) or index.name not in enclosing:
            yield _not_an_index(index, target)
            return
        elif carried[index.name] > 1:
            yield Diagnostic("E107", index.span, f"index `{index.name}` stands twice on the left")
            return
    missing = [name for name in enclosing if not carried[name]]
    if missing and (target.indices or isinstance(placed.statement, syntax.Sample)):
        yield _missing_indices(placed, target, missing)


def _not_an_index(index: syntax.Expression, target: syntax.Target) -> Diagnostic:
    return Diagnostic(
        "E107",
        index.span,
        "not the index of a block around this line",
        f"a left side is `{target.name.name}[i]` inside `plate i in …`, or `{target.name.name}[i in …]`",
    )


def _missing_indices(placed: Placed, target: syntax.Target, missing: list[str]) -> Diagnostic:
    names = " and ".join(f"`{name}`" for name in missing)
    have = {index.name for index in target.indices if isinstance(index, syntax.Name)}
    blocks = [block.binder.name.name for block in placed.blocks]
    inherited = [name for name in blocks if name in have or name in missing]
    others = [index.span.text for index in target.indices if index.span.text not in inherited]
    fix = f"write: {target.name.name}[{', '.join([*inherited, *others])}]"
    return Diagnostic("E107", target.span, f"the left side must carry {names}", "every index around it", fix)


# E101, E103 -----------------------------------------------------------------------------------------


def _reads(placed: Placed, scopes: Scopes, functions: set[str]) -> Iterator[Diagnostic]:
    for expression in expressions(placed.statement):
        passed = _passed_functions(expression) & functions
        for name, _ in reads(expression):
            if scopes.find(name.name, placed) is None and name.name not in passed:
                yield _unknown(name, placed, scopes, functions)


def _function_names(program: syntax.Program) -> set[str]:
    kinds = syntax.Def | syntax.Net | syntax.Submodel | syntax.Use
    return {statement.name.name for statement in program.statements if isinstance(statement, kinds)}


def _passed_functions(expression: syntax.Node) -> set[str]:
    """First arguments of `ode(f, …)`: the only place where a function is named without being called."""
    calls = (node for node in nodes(expression) if isinstance(node, syntax.Call) and node.function.name == "ode")
    firsts = (call.positional[0] for call in calls if call.positional)
    return {first.name for first in firsts if isinstance(first, syntax.Name)}


def _unknown(name: syntax.Name, placed: Placed, scopes: Scopes, functions: set[str]) -> Diagnostic:
    if name.name in FOREIGN_CONSTANTS:
        return Diagnostic("E101", name.span, "not defined", f"write `{FOREIGN_CONSTANTS[name.name]}`")
    elsewhere = scopes.hidden(name.name)
    if elsewhere is not None:
        return _outside(name, placed, elsewhere)
    if name.name in functions:
        return Diagnostic("E101", name.span, f"`{name.name}` is a function", f"call it: `{name.name}(…)`")
    visible = scopes.visible(placed)
    close = nearest(name.name, visible)
    if close:
        return Diagnostic("E101", name.span, "not defined", f"did you mean `{close}` (line {visible[close].line})?")
    return Diagnostic("E101", name.span, "not defined", _how_to_define(name.name, placed.statement))


def _how_to_define(name: str, statement: syntax.Statement) -> str:
    if isinstance(statement, syntax.Data | syntax.Param | syntax.Plate | syntax.Scan):
        return f"declare it: `data {name}: int`"
    return f"declare `data {name}: …`, or give it a prior: `{name} ~ …`"


def _outside(name: syntax.Name, placed: Placed, elsewhere: Definition) -> Diagnostic:
    if elsewhere.within is None:
        return _other_root(name, placed, elsewhere)
    assert elsewhere.extent is not None
    header = " ".join(elsewhere.within.text.split())
    where = f"exists only inside `{header}` ({_lines(elsewhere.extent)})"
    if elsewhere.kind is Kind.INDEX:
        return Diagnostic("E103", name.span, f"index `{name.name}` {where}")
    return Diagnostic("E103", name.span, f"`{name.name}` {where}", "give it the block's indices to use it outside")


def _other_root(name: syntax.Name, placed: Placed, elsewhere: Definition) -> Diagnostic:
    if elsewhere.room == MODEL:
        found = f"`{name.name}` (line {elsewhere.line}) stands outside"
        return Diagnostic("E103", name.span, found, "a `def` or `model` sees only its parameters: make it one")
    room = "predict" if elsewhere.room == PREDICT else str(elsewhere.room).partition("@")[0]
    return Diagnostic("E103", name.span, f"`{name.name}` exists only inside `{room}` (line {elsewhere.line})")


def _lines(extent: Span) -> str:
    if extent.line == extent.end_line:
        return f"line {extent.line}"
    return f"lines {extent.line}-{extent.end_line}"


# E102 -----------------------------------------------------------------------------------------------


def _near_misses(program: syntax.Program, scopes: Scopes) -> Iterator[Diagnostic]:
    """New latents that nothing reads, named almost like data that nothing uses."""
    read = {
        name.name
        for placed in statements(program)
        for expression in expressions(placed.statement)
        for name, _ in reads(expression)
    }
    model = scopes.rooms.get(MODEL, {})
    unused = {
        name
        for name, definition in model.items()
        if definition.kind is Kind.DATA and name not in read and name not in scopes.observations
    }
    for placed in statements(program):
        target = target_of(placed.statement)
        if target is None or placed.root != MODEL or not isinstance(placed.statement, syntax.Sample):
            continue
        name = target.name
        close = None if name.name in read or scopes.is_data(name.name) else nearest(name.name, unused)
        if close:
            found = f"makes a new latent, and data `{close}` (line {model[close].line}) is never used"
            yield Diagnostic("E102", name.span, found, f"did you mean `{close}`?")


# E505, where data are bound ------------------------------------------------------------------------


def unused_data(program: syntax.Program, bound: Collection[str]) -> list[Diagnostic]:
    """Data that are declared and bound, and that nothing reads or observes."""
    scopes = collect(program)
    parts = [part for placed in statements(program) for part in expressions(placed.statement)]
    used = {name.name for part in parts for name, _ in reads(part)}
    return [
        Diagnostic("E505", definition.span, "declared and bound, never used")
        for name, definition in scopes.rooms.get(MODEL, {}).items()
        if definition.kind is Kind.DATA and name in bound and name not in used and name not in scopes.observations
    ]
