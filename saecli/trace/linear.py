"""A circuit of transcoders: direct effects where norms keep their scales and attention its patterns."""

from __future__ import annotations

from saecli.asking.question import Question
from saecli.attribution.direct import direct_edges
from saecli.core.progress import Progress
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, target_address
from saecli.trace.first_order import draft_of
from saecli.trace.methods import Pinning
from saecli.trace.passes import Passes
from saecli.trace.select import kept_nodes, select_nodes


def by_direct_effects(
    config: TraceConfig, question: Question, passes: Passes, pin: Pinning, progress: Progress
) -> Draft:
    """Nodes by their total effects in the local replacement model, and the direct effects among those that stay."""
    run = passes.replaced(question)
    progress("edges")
    nodes = select_nodes(config, run.nodes, pin(run.nodes))
    tokens = run.tokens.take(kept_nodes(config, run.tokens))
    edges = direct_edges(run, nodes, tokens=tokens)
    return draft_of(config, run.nodes, nodes, tokens, edges, target_address(run.metric))
