"""Registries: named records that announce themselves from the files of one folder.

A folder such as `ppl/distributions/` owns one `Registry`. Each of its files calls `register` at import;
the first look-up imports them all, so adding a file is all it takes to add a member.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

from ppl.source import nearest


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Mapping[str, T]):
    """Members of one kind by name. `package` is the dotted name of the folder that holds them."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._members: dict[str, T] = {}
        self._discovered = False

    def register(self, member: T) -> T:
        if member.name in self._members:
            raise ValueError(f"{self.kind} {member.name!r} is registered twice")
        self._members[member.name] = member
        return member

    def suggest(self, name: str) -> str | None:
        """The registered name nearest to `name`, or None."""
        return nearest(name, self)

    def __getitem__(self, name: str) -> T:
        self._discover()
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._members))

    def __len__(self) -> int:
        self._discover()
        return len(self._members)

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
