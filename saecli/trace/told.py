"""What a traced graph tells of its features beside their labels."""

from __future__ import annotations

from dataclasses import replace

from saecli.core.address import Address
from saecli.core.cache import Cache
from saecli.core.errors import InputError, UsageError
from saecli.core.evidence import Evidence
from saecli.core.fingerprint import fingerprint_module
from saecli.core.graph import FeatureGraph
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.vocabulary import Vocabulary
from saecli.features.harvest import Reader
from saecli.features.known import evidence_of, features_of
from saecli.features.sample import Sample, Shown, shown
from saecli.trace.config import TraceConfig

_TEXT_CONTEXT = 128
_GAMES = ("othello", "chess")


def tell(
    graph: FeatureGraph, config: TraceConfig, model: HookedModel, suite: Suite, progress: Progress = silent
) -> FeatureGraph:
    """The graph with what is known of its features; a feature without a label is called by it.

    Args:
        graph: A graph of the model and the suite.
        config: The user's choices.
        model: The model that was traced.
        suite: Its dictionaries.
        progress: Told what is going on.

    Raises:
        UsageError: Contexts are asked for, and no data are known.
        InputError: The data cannot be read, or are written in other tokens.
    """
    from zoo.load import load_vocabulary

    vocabulary = load_vocabulary(config.model, model.info.vocabulary)
    game = vocabulary.name if vocabulary.name in _GAMES else ""
    found = _contexts(graph, config, model, suite, vocabulary, progress) if config.contexts else {}
    known = evidence_of(
        graph,
        model,
        suite,
        name=vocabulary.token_text,
        tokens=range(min(vocabulary.size, model.info.d_vocab)),
        shown=found,
        game=game,
    )
    if config.explanations == "neuronpedia":
        known = _explained(known, config, suite, progress)
    nodes = tuple(
        replace(node, label=node.label or known[node.address.at(None)].label)
        if node.address.at(None) in known
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, features=known)


def _explained(
    known: dict[Address, Evidence], config: TraceConfig, suite: Suite, progress: Progress
) -> dict[Address, Evidence]:
    """With what Neuronpedia says, as far as it shows the dictionaries and answers."""
    from saecli.features.neuronpedia import Neuronpedia
    from zoo.explained import neuronpedia_names

    names = neuronpedia_names(config.suite or config.model)
    wanted: dict[str, list[int]] = {}
    for address in known:
        if address.site is not None and address.site in names and address.index is not None:
            wanted.setdefault(names[address.site], []).append(address.index)
    if not wanted:
        progress(f"Neuronpedia does not show {suite.info.name}, as far as is known.")
        return known
    said = Neuronpedia(Cache.at().explanations).explain(wanted.items(), progress)
    return {
        address: replace(one, explanation=said.get((names[address.site], address.index or 0), ""))
        if address.site is not None and address.site in names
        else one
        for address, one in known.items()
    }


def _contexts(
    graph: FeatureGraph,
    config: TraceConfig,
    model: HookedModel,
    suite: Suite,
    vocabulary: Vocabulary,
    progress: Progress,
) -> dict[Site, Shown]:
    reader = Reader(model, suite.info.model_fingerprint or fingerprint_module(model.module))
    sample = _sample(config, model, suite, vocabulary, progress)
    return shown(
        reader,
        suite,
        list(features_of(graph)),
        sample,
        count=config.contexts,
        width=config.context_width,
        cache=Cache.at(),
        progress=progress,
    )


def _sample(
    config: TraceConfig, model: HookedModel, suite: Suite, vocabulary: Vocabulary, progress: Progress
) -> Sample:
    from saecli.data.names import GAMES
    from saecli.data.sequences import Sequences, open_sequences
    from zoo.reading import data_of, make_data, other_data

    info = model.info
    data = config.data or data_of(config.model, info.vocabulary)
    if not data:
        raise UsageError(f"No data of {info.name} are known to look for contexts in.", "Add --data, or --contexts 0.")

    def read() -> Sequences:
        make_data(data, progress)
        if notice := other_data(config.model, data):
            progress(notice)
        found = open_sequences(
            data,
            config.context_sequences,
            n_ctx=0 if data in GAMES else min(_TEXT_CONTEXT, info.n_ctx),
            bos=suite.info.bos,
            vocabulary=lambda: vocabulary,
            progress=progress,
        )
        if info.vocabulary and found.vocabulary and info.vocabulary != found.vocabulary:
            raise InputError(f"{data} is written in {found.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
        return found

    if data in GAMES:
        return Sample(data, config.context_sequences, read)
    sequences = read()
    return Sample(sequences.digest, config.context_sequences, lambda: sequences)
