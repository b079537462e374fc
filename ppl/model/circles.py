"""Names that depend on themselves by way of others."""

from __future__ import annotations

from collections.abc import Mapping


def circles(reads: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The groups of names that depend on each other or on themselves, each in the order of `reads`."""
    places = {name: place for place, name in enumerate(reads)}
    if all(places.get(other, -1) < place for name, place in places.items() for other in reads[name]):
        return []
    reached = {name: _reached(name, reads) for name in reads}
    groups: list[list[str]] = []
    for name in reads:
        if name in reached[name] and not any(name in group for group in groups):
            groups.append([other for other in reads if other in reached[name] and name in reached[other]])
    return groups


def _reached(name: str, reads: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(reads[name])
    while pending:
        other = pending.pop()
        if other in reads and other not in found:
            found.add(other)
            pending += reads[other]
    return found
