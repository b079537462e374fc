"""The files of a program: what its `use` statements bring in.

| code | what |
| --- | --- |
| E121 | a file that cannot be read |
| E122 | files that use each other in a circle |
| E123 | a model that the file does not have |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ppl.errors import Diagnostic, ModelError
from ppl.language import syntax
from ppl.language.names import check_names
from ppl.language.parser import parse
from ppl.source import Source, nearest


@dataclass(frozen=True)
class File:
    """One file: the submodels that may be called in it, each with the file that it comes from, and its `def`s.

    `tag` tells its functions from those of other files; it is empty for the program itself.
    """

    tag: str
    models: dict[str, tuple[syntax.Submodel, File]] = field(default_factory=dict)
    functions: dict[str, syntax.Def] = field(default_factory=dict)


def open_file(program: syntax.Program, path: Path, tag: str = "", above: tuple[Path, ...] = ()) -> File:
    """The file of a program that stands at `path`; `above` are the files that led to it, outermost first.

    Raises ModelError with all errors of the files.
    """
    file = File(tag)
    errors: list[Diagnostic] = []
    for statement in program.statements:
        if isinstance(statement, syntax.Submodel):
            file.models[statement.name.name] = (statement, file)
        elif isinstance(statement, syntax.Def):
            file.functions[statement.name.name] = statement
        elif isinstance(statement, syntax.Use):
            try:
                file.models[statement.name.name] = _used(statement, path, (*above, path.resolve()))
            except ModelError as error:
                errors.extend(error.diagnostics)
    if errors:
        raise ModelError(errors)
    return file


def _used(statement: syntax.Use, path: Path, above: tuple[Path, ...]) -> tuple[syntax.Submodel, File]:
    where = path.parent / statement.path.value
    if where.resolve() in above:
        chain = [known.name for known in above[above.index(where.resolve()) :]]
        raise ModelError.of("E122", statement.path.span, f"cycle of files: {' -> '.join([*chain, where.name])}")
    program = _read(statement, where)
    file = open_file(program, where, where.stem, above)
    name = statement.name
    if name.name not in file.models:
        near = nearest(name.name, file.models)
        listing = ", ".join(f"`{known}`" for known in file.models) or "no model"
        expected = f"did you mean `{near}`?" if near else f"it has {listing}"
        raise ModelError.of("E123", name.span, f"`{statement.path.value}` has no model `{name.name}`", expected)
    return file.models[name.name]


def _read(statement: syntax.Use, where: Path) -> syntax.Program:
    try:
        text = where.read_text(encoding="utf-8") if where.is_file() else None
    except (OSError, ValueError):
        text = None
    if text is None:
        raise ModelError.of("E121", statement.path.span, f"cannot read `{where}`", _similar(where))
    program = parse(Source(str(where), text))
    errors = check_names(program)
    if errors:
        raise ModelError(errors)
    return program


def _similar(where: Path) -> str:
    """A model file of a similar name beside the one that is missing."""
    try:
        near = nearest(where.name, [known.name for known in where.parent.glob("*.ppl")])
    except (OSError, ValueError):
        near = None
    return f"did you mean `{near}`?" if near else "the path counts from the file that uses it"
