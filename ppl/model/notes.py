"""Guide notes: which there are, what they take, and where they may stand.

| code | what |
| --- | --- |
| E109 | not a guide note |
| E127 | arguments that a note does not take |
| E128 | a note on a statement that it has no meaning for |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ppl.errors import Diagnostic, ModelError
from ppl.model.model import Note
from ppl.source import Span, nearest


@dataclass(frozen=True)
class NoteKind:
    """`takes` is what it is an argument of: a `"text"`, a `"number"` or a `"network"`; `required` whether it must be
    there. Notes stand at latent sites, those `of_plates` at plates.
    """

    takes: str = ""
    required: bool = False
    of_plates: bool = False
    form: str = ""


NOTES: dict[str, NoteKind] = {
    "centered": NoteKind(form="@centered"),
    "noncentered": NoteKind(form="@noncentered"),
    "score": NoteKind(form="@score"),
    "pathwise": NoteKind(form="@pathwise"),
    "implicit": NoteKind(form="@implicit"),
    "enumerate": NoteKind(form="@enumerate"),
    "point": NoteKind(form="@point"),
    "guide": NoteKind("text", required=True, form='@guide("gamma")'),
    "fullrank": NoteKind("text", form='@fullrank("group")'),
    "lowrank": NoteKind("number", required=True, form="@lowrank(2)"),
    "minibatch": NoteKind("number", required=True, of_plates=True, form="@minibatch(256)"),
    "amortized": NoteKind("network", required=True, form="@amortized(enc(x[n]))"),
}
ARTICLES = {"text": "a text", "number": "a positive whole number", "network": "a network applied to data"}


def unknown(name: str, span: Span | None) -> Diagnostic:
    near = nearest(name, NOTES)
    return Diagnostic("E109", span, f"`@{name}` is not a guide note", f"did you mean `@{near}`?" if near else "")


def misfit(name: str, given: Sequence[str], span: Span | None) -> Diagnostic | None:
    """What is wrong with arguments of these kinds; an unknown kind is `""` and fits what is not a text."""
    kind = NOTES[name]
    wanted = ARTICLES[kind.takes] if kind.takes else "no argument"
    most = 1 if kind.takes else 0
    if not kind.required <= len(given) <= most:
        found = f"`@{name}` takes {wanted}, {len(given)} given"
        return Diagnostic("E127", span, found, f"as in {kind.form}" if kind.takes else "")
    if given and given[0] != kind.takes and not (given[0] == "" and kind.takes == "number"):
        return Diagnostic("E127", span, f"`@{name}` takes {wanted}", f"as in {kind.form}")
    return None


def not_positive(name: str, value: Any, span: Span | None) -> ModelError:
    return ModelError.of("E127", span, f"`@{name}` takes a positive whole number, this is {value}")


def misplaced(name: str, what: str, span: Span | None) -> Diagnostic:
    """A note at `what`, for which it has no meaning."""
    where = "a plate" if NOTES[name].of_plates else "a latent site, or at a plate around one"
    return Diagnostic("E128", span, f"`@{name}` at {what}", f"it stands at {where}")


def checked_note(note: Note | str, span: Span | None, observed: bool) -> Note:
    """A note of the Python door. Raises ModelError for one that is wrong, or has no meaning where it stands."""
    note = note if isinstance(note, Note) else Note(note, (), span)
    where = note.span or span
    if note.name not in NOTES:
        raise ModelError([unknown(note.name, where)])
    kinds = [_kind(argument) for argument in note.arguments]
    problem = misfit(note.name, kinds, where)
    if problem is None and (observed or NOTES[note.name].of_plates):
        problem = misplaced(note.name, "an observed site" if observed else "a site", where)
    if problem is not None:
        raise ModelError([problem])
    if kinds == ["number"] and note.arguments[0] < 1:
        raise not_positive(note.name, note.arguments[0], where)
    return replace(note, span=where)


def _kind(argument: Any) -> str:
    if isinstance(argument, str):
        return "text"
    return "number" if isinstance(argument, int) and not isinstance(argument, bool) else "network"
