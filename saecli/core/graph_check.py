"""What can be wrong with a graph that someone gives us: numbers that are none, edges to nowhere, cycles."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from saecli.core.errors import InputError
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site

_LARGEST: Final = 1e30
"""Numbers stay below this, so that sums of many are finite."""


def require_values(graph: FeatureGraph) -> None:
    """Refuse a graph whose fields are of the wrong type or not finite; it cannot even be shown.

    Raises:
        InputError: What is wrong, in one sentence.
    """
    if graph.edge_meaning not in ("metric", "activation"):
        raise InputError(f"The graph's edge_meaning is {graph.edge_meaning!r}, expected metric or activation.")
    if graph.metric.direction not in (1, -1):
        raise InputError(f"The metric's direction is {graph.metric.direction!r}, expected 1 or -1.")
    for name, one in (("title", graph.title), ("method", graph.method), ("residual", graph.residual)):
        _require_text(one, f"The graph's {name}")
    for name in ("name", "description", "target"):
        _require_text(getattr(graph.metric, name), f"The metric's {name}")
    _require_number(graph.metric.value, "The metric's value")
    for name, one in (("totals", graph.totals), ("provenance", graph.provenance), ("settings", graph.settings)):
        if not isinstance(one, dict):
            raise InputError(f"The graph's {name} are no JSON object.")
    for name, number in graph.totals.items():
        _require_number(number, f"The graph's total {name}")
    for name, one in (("provenance", graph.provenance), ("settings", graph.settings)):
        try:
            json.dumps(one, allow_nan=False)
        except ValueError as error:
            raise InputError(f"The graph's {name} hold a number that is not finite.") from error
    for place, position in enumerate(graph.positions):
        _require_text(position.text, f"The text of position {place}")
        _require_text(position.note, f"The note of position {place}")
        if type(position.token) is not int:
            raise InputError(f"The token of position {place} is {position.token!r}, expected a whole number.")
        if position.board is not None and not (isinstance(position.board, str) and len(position.board) == 64):
            raise InputError(f"The board of position {place} is not 64 characters.")
    for site in graph.sites:
        _require_text(site, "A site of the graph")
    for address, evidence in graph.features.items():
        name = graph.id_of(address)
        if address.kind != "feature" or address.position is not None:
            raise InputError(f"The graph tells of the feature {name}, expected a feature without a position.")
        weighted = (*evidence.raises, *evidence.lowers, *evidence.near)
        for value in (*(one for _, one in weighted), *(one for c in evidence.contexts for one in c.values)):
            _require_number(value, f"A number about {name}")
        if any(context.board is not None and len(context.board) != 64 for context in evidence.contexts):
            raise InputError(f"A board of {name} is not 64 characters.")
    for node in graph.nodes:
        name = f"of {graph.id_of(node.address)}"
        _require_number(node.effect, f"The effect {name}")
        _require_text(node.label, f"The label {name}")
        for what in ("activation", "influence", "graphs"):
            if getattr(node, what) is not None:
                _require_number(getattr(node, what), f"The {what} {name}")
    for edge in graph.edges:
        numbers = (edge.weight, *(one for one in (edge.influence, edge.graphs) if one is not None))
        if all(map(_is_number, numbers)):
            continue  # names are made only where they are needed
        name = f"of the edge {graph.id_of(edge.source)} → {graph.id_of(edge.target)}"
        _require_number(edge.weight, f"The weight {name}")
        for what in ("influence", "graphs"):
            if getattr(edge, what) is not None:
                _require_number(getattr(edge, what), f"The {what} {name}")


def require_nodes(name: str, graph: FeatureGraph, latents: Mapping[Site, int]) -> None:
    """Refuse features and errors that the dictionaries do not have.

    Args:
        name: The graph, as it was named.
        graph: It.
        latents: Site → how many features its dictionary has.

    Raises:
        InputError: Which node.
    """
    for node in graph.nodes:
        site, index = node.address.site, node.address.index
        if node.address.kind not in ("feature", "error"):
            continue
        if site is None or site not in latents or (index is not None and index >= latents[site]):
            raise InputError(f"{name} has the node {graph.id_of(node.address)}, which the dictionaries have not.")


def flaws(graph: FeatureGraph) -> list[str]:
    """What makes a readable graph no circuit, one sentence each; empty for a sound one."""
    found: list[str] = []
    nodes = Counter(node.address for node in graph.nodes)
    if twice := [graph.id_of(address) for address, count in nodes.items() if count > 1]:
        found.append(f"{_some(twice)} stand in it more than once.")
    pairs = Counter((edge.source, edge.target) for edge in graph.edges)
    if twice := [f"{graph.id_of(s)} → {graph.id_of(t)}" for (s, t), count in pairs.items() if count > 1]:
        found.append(f"The edges {_some(twice)} stand in it more than once.")
    missing = [end for pair in pairs for end in pair if end not in nodes]
    if missing:
        found.append(f"Edges lead from or to {_some([graph.id_of(one) for one in dict.fromkeys(missing)])}, no nodes.")
    length = len(graph.positions)
    beyond = [graph.id_of(a) for a in nodes if length and a.position is not None and a.position >= length]
    if beyond:
        found.append(f"{_some(beyond)} lie beyond its {length} positions.")
    for name, members in {**graph.supernodes, "": graph.pinned}.items():
        if lost := [graph.id_of(one) for one in members if one not in nodes]:
            found.append(f"{f'The supernode {name!r}' if name else 'Its pinned nodes'} name {_some(lost)}, no nodes.")
    if loop := a_cycle(graph):
        found.append(f"It has a cycle: {' → '.join(loop)}.")
    return found


def computing_order(graph: FeatureGraph) -> list[int] | None:
    """Places of the nodes such that every edge leads forward; None if there is a cycle."""
    order = _sorted(graph)
    return order if len(order) == len(graph.nodes) else None


def a_cycle(graph: FeatureGraph) -> list[str]:
    """Ids along one cycle, the first again at the end; empty if there is none."""
    done = set(_sorted(graph))
    into: dict[int, int] = {}
    for source, target in _links(graph):
        if source not in done and target not in done:
            into.setdefault(target, source)
    left = [place for place in range(len(graph.nodes)) if place not in done]
    if not left:
        return []
    seen: list[int] = []
    here = left[0]  # every node that is left has a parent that is left, so walking upwards meets itself
    while here not in seen:
        seen.append(here)
        here = into[here]
    loop = [*seen[seen.index(here) :], here][::-1]
    return [graph.id_of(graph.nodes[place].address) for place in loop]


def _links(graph: FeatureGraph) -> list[tuple[int, int]]:
    place = {node.address: number for number, node in enumerate(graph.nodes)}
    return [(place[e.source], place[e.target]) for e in graph.edges if e.source in place and e.target in place]


def _sorted(graph: FeatureGraph) -> list[int]:
    """Places of the nodes that no cycle leads to, parents before children."""
    waiting = [0] * len(graph.nodes)
    children: list[list[int]] = [[] for _ in graph.nodes]
    for source, target in _links(graph):
        waiting[target] += 1
        children[source].append(target)
    ready = [place for place, count in enumerate(waiting) if not count]
    for place in ready:
        for child in children[place]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return ready


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST


def _require_number(value: Any, what: str) -> None:
    if not _is_number(value):
        raise InputError(f"{what} is {str(value)[:40]}, expected a finite number below {_LARGEST:g}.")


def _require_text(value: Any, what: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{what} is {str(value)[:40]}, expected a text.")


def _some(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
