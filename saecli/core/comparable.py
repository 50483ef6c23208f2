"""Whether an address means the same feature in two graphs."""

from __future__ import annotations

from saecli.core.errors import InputError
from saecli.core.graph import FeatureGraph

_HINT = "Features of different dictionaries have nothing in common but their numbers."


def dictionaries_of(graph: FeatureGraph) -> tuple[str, str]:
    """What a graph says of its dictionaries: the kind of evidence and its value, both empty if it says nothing."""
    if fingerprint := graph.provenance.get("suite_fingerprint"):
        return "suite", str(fingerprint)
    theirs = graph.provenance.get("neuronpedia")
    metadata = theirs.get("metadata") if isinstance(theirs, dict) else None
    if isinstance(metadata, dict) and metadata.get("scan"):
        return "scan", f"{metadata['scan']} {metadata.get('transcoder_list') or ''}".strip()
    return ("scan", str(graph.provenance["scan"])) if graph.provenance.get("scan") else ("", "")


def require_comparable(first: FeatureGraph, second: FeatureGraph, names: tuple[str, str]) -> str:
    """Why the addresses of two graphs mean the same features, in words.

    Args:
        first, second: The graphs.
        names: What they are called in messages.

    Raises:
        InputError: Their dictionaries differ, or a graph does not say which it has.
    """
    found = [dictionaries_of(graph) for graph in (first, second)]
    for (kind, _), name in zip(found, names, strict=True):
        if not kind:
            raise InputError(f"{name} does not say which dictionaries its features are of.", _HINT)
    (kind, one), (other_kind, other) = found
    if kind != other_kind:
        raise InputError(f"Only one of {names[0]} and {names[1]} tells its dictionaries by their content.", _HINT)
    if one != other:
        told = [str(graph.provenance.get("suite") or graph.provenance.get("model")) for graph in (first, second)]
        what = f"{told[0]} and {told[1]}" if told[0] != told[1] else f"two versions of {told[0]}"
        raise InputError(f"{names[0]} and {names[1]} are of different dictionaries: {what}.", _HINT)
    models = [graph.provenance.get("model_fingerprint") for graph in (first, second)]
    if None not in models and models[0] != models[1]:
        raise InputError(f"{names[0]} and {names[1]} are of different models.", _HINT)
    return "the same suite, by its content" if kind == "suite" else "the same scan, by its name"
