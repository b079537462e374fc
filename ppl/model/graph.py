"""The dependency graph of a model: random sites as nodes, an edge from each to those that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.model.model import Deterministic, Factor, Model, Site

if TYPE_CHECKING:
    import networkx


def dependency_graph(model: Model) -> networkx.DiGraph:
    """A `networkx.DiGraph` of the sites, parameters and factors.

    Deterministic statements are looked through and data are inputs of edges, not nodes. Nodes
    carry `kind` ("site", "param", "factor"), `distribution` (a name or None), `plates` (names, outermost
    first), `shape`, `observed` and `span`.
    """
    import networkx

    graph: networkx.DiGraph = networkx.DiGraph(name=model.name)
    for statement in model.statements:
        if isinstance(statement, Deterministic):
            continue
        site = statement if isinstance(statement, Site) else None
        graph.add_node(
            statement.name,
            kind="site" if site else "factor" if isinstance(statement, Factor) else "param",
            distribution=site.distribution.name if site else None,
            plates=tuple(axis.name for axis in statement.axes),
            shape=() if isinstance(statement, Factor) else statement.shape,  # type: ignore[attr-defined]
            observed=site is not None and site.observed is not None,
            span=statement.span,
        )
        for parent in sorted(model.random_ancestors(statement)):
            graph.add_edge(parent, statement.name)
    return graph


_SHAPES = {"site": "ellipse", "param": "diamond", "factor": "box"}


def dot_text(graph: networkx.DiGraph) -> str:
    """A dependency graph in the DOT language of Graphviz; observed sites are filled, plates stand under the names."""
    lines = [f"digraph {_quoted(graph.name)} {{"]
    for name, node in graph.nodes(data=True):
        plates = f"\\n{{{', '.join(node['plates'])}}}" if node["plates"] else ""
        filled = ", style=filled, fillcolor=lightgray" if node["observed"] else ""
        lines.append(f"  {_quoted(name)} [label={_quoted(name, plates)}, shape={_SHAPES[node['kind']]}{filled}];")
    lines += [f"  {_quoted(parent)} -> {_quoted(child)};" for parent, child in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(name: str, suffix: str = "") -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}{suffix}"'
