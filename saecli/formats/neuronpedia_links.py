"""Links of circuit-tracer's graph JSON: which of two nodes with one id a link means.

The old id of the error of layer 3 at position 5 is also that of feature 3 of layer 0 at position 5. A link that could
lead into either leads into the feature (circuit-tracer's errors have no inputs), and every link leads to a later layer
and to no earlier position; where both nodes could still be its source, the order of the links decides, because those
into one node are written in the order of the nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from saecli.core.address import Address
from saecli.core.errors import InputError
from saecli.formats.neuronpedia_nodes import is_sane

_TOKEN_DEPTH = (-1, 0)
_TARGET_DEPTH = (1 << 30, 0)


class Link(NamedTuple):
    """A link between two nodes, by their places in the list of nodes."""

    source: int
    target: int
    weight: float


def depth(address: Address) -> tuple[int, int]:
    """Order of computation of nodes: tokens, sites, targets."""
    if address.site is not None:
        return address.site.depth
    return _TOKEN_DEPTH if address.kind == "token" else _TARGET_DEPTH


def leads_forward(source: Address, target: Address) -> bool:
    """Whether a node can act on another."""
    return depth(source) < depth(target) and (source.position or 0) <= (target.position or 0)


def resolve_links(
    links: Sequence[Any], names: Sequence[str], addresses: Sequence[Address], where: str
) -> tuple[list[Link], int]:
    """The links between nodes, in the order given.

    Args:
        links: As in the file.
        names, addresses: Id and address of every node.
        where: The file, for messages.

    Returns:
        The links, and for how many of them either of two nodes could be meant; these are given to the feature.

    Raises:
        InputError: A link that is damaged, twice, or of a node that is not there.
    """
    by_name: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        by_name.setdefault(name, []).append(place)
    sources: list[list[int]] = []
    targets: list[int] = []
    into: dict[int, list[int]] = {}
    for number, link in enumerate(links):
        source, target = _ends(link, by_name, where)
        reached = [place for place in target if addresses[place].kind != "token"]
        reached.sort(key=lambda place: addresses[place].kind == "error")
        if not reached:
            raise InputError(f"{where} has a link into {link['target'][:80]!r}, which nothing can lead into.")
        able = [place for place in source if leads_forward(addresses[place], addresses[reached[0]])]
        sources.append(able or source[:1])
        targets.append(reached[0])
        into.setdefault(reached[0], []).append(number)
    chosen = [able[0] for able in sources]
    unclear = 0
    for numbers in into.values():
        if any(len(sources[number]) > 1 for number in numbers):
            for number, place, sure in zip(numbers, *_in_order([sources[number] for number in numbers]), strict=True):
                chosen[number] = place
                unclear += not sure
    result = [Link(source, target, link["weight"]) for source, target, link in zip(chosen, targets, links, strict=True)]
    if len({(link.source, link.target) for link in result}) != len(result):
        raise InputError(f"{where} has two links between the same two nodes.")
    return result, unclear


def _ends(link: Any, by_name: dict[str, list[int]], where: str) -> tuple[list[int], list[int]]:
    match link:
        case {"source": str(source), "target": str(target), "weight": int() | float() as weight}:
            if isinstance(weight, bool) or not is_sane(weight):
                raise InputError(f"{where} has a link of weight {weight} from {source[:80]!r} to {target[:80]!r}.")
            for name in (source, target):
                if name not in by_name:
                    raise InputError(f"{where} has a link of the node {name[:80]!r}, which it does not have.")
            return by_name[source], by_name[target]
    raise InputError(f"{where} has a link without source, target and weight.")


def _in_order(candidates: list[list[int]]) -> tuple[list[int], list[bool]]:
    """One candidate each, rising if that is possible, and whether no other choice would do."""
    first, last = _rising(candidates), _rising([[-place for place in one] for one in reversed(candidates)])
    if first is not None and last is not None:
        return first, [low == -high for low, high in zip(first, reversed(last), strict=True)]
    chosen: list[int] = []  # in no order: one id twice means the two nodes in their order, once the first
    for one in candidates:
        chosen.append(next((place for place in one if place not in chosen), one[0]))
    return chosen, [len(one) == 1 for one in candidates]


def _rising(candidates: list[list[int]]) -> list[int] | None:
    """The least rising choice of one candidate each, if there is any."""
    chosen: list[int] = []
    for one in candidates:
        above = [place for place in one if not chosen or place > chosen[-1]]
        if not above:
            return None
        chosen.append(min(above))
    return chosen
