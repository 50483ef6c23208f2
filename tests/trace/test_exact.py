"""``saecli trace --method exact`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saecli.asking.question import ask
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from tests.trace.test_trace import GAME, graph_of
from zoo.load import load_model, load_suite


def test_nodes_of_every_kind_have_measured_effects(tiny: Path) -> None:
    graph = graph_of(tiny, method="exact", layers="1:3", keep=1.0, top_edges=1000)
    assert (graph.method, graph.edge_meaning) == ("exact", "metric")
    assert {n.address.kind for n in graph.nodes} == {"feature", "error", "target", "token"}
    model = load_model(str(tiny), dtype=torch.float64)
    suite = load_suite(str(tiny), dtype=torch.float64)
    question = ask(model, TraceConfig(model=str(tiny), game=GAME), suite, "resid_pre")
    errors = [node for node in graph.nodes if node.address.kind == "error" and node.address.site == Site(1, "mlp_out")]
    assert errors

    for node in errors:

        def remove(x: torch.Tensor, position: int | None = node.address.position) -> torch.Tensor:
            x = x.clone()
            x[0, position] -= x[0, position] - suite[Site(1, "mlp_out")].reconstruct(x[0])[position]
            return x

        logits = model.run(question.tokens_S[None], write={Site(1, "mlp_out"): remove}).logits
        assert logits is not None
        after = float(question.metric(logits[:, -1]))  # type: ignore[operator]
        assert after - graph.metric.value == pytest.approx(node.effect, abs=1e-9)


def test_edges_into_the_target_are_the_effects_of_the_last_site(tiny: Path) -> None:
    """Nothing lies between the final residual stream and the prediction."""
    graph = graph_of(tiny, method="exact", layers="1:3", keep=1.0, top_edges=1000)
    into = {edge.source: edge.weight for edge in graph.edges if edge.target.kind == "target"}
    last = {n.address: n.effect for n in graph.nodes if n.address.site == Site(2, "resid_pre") and n.effect}
    assert into == pytest.approx(last, abs=1e-11)


def test_features_that_wake_are_drawn(tiny: Path) -> None:
    graph = graph_of(tiny, method="exact", layers="1:3", keep=1.0, top_edges=1000, top_nodes=5)
    woken = [n for n in graph.nodes if n.address.kind == "feature" and n.activation == 0]
    assert woken
    for node in woken:
        assert list(graph.parents(node.address))
    by_site = [n.address.site for n in woken]
    assert max(map(by_site.count, by_site)) <= 5


def test_it_counts_its_passes_before_it_starts(tiny: Path, saecli) -> None:
    asked = ("trace", tiny, "--game", GAME, "--layers", "1:3", "--method", "exact", "--keep", "1")
    planned = saecli(*asked, "--plan")
    assert planned.code == 0, planned.err
    done = saecli(*asked, "--json", "--top-edges", "100000")
    assert done.code == 0, done.err
    graph = FeatureGraph.from_json(json.loads((Path(json.loads(done.out)["run_directory"]) / "graph.json").read_text()))
    removed = int(graph.totals["active_nodes"]) + len(graph.positions)
    assert f"{removed:,} removals" in planned.out
    most = int(planned.out.split("up to ")[1].split()[0].replace(",", ""))
    silent = [n.address for n in graph.nodes if n.address.kind == "feature" and not n.activation]
    assert len([e for e in graph.edges if e.target not in silent]) <= most


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--positions", "all"], "belongs to --method ablation"),
        (["--steps", "3"], "belong to --method ig"),
    ],
)
def test_options_of_other_methods_are_refused(tiny: Path, saecli, more: list[str], words: str) -> None:
    done = saecli("trace", tiny, "--game", GAME, "--method", "exact", *more)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
