"""The job the README promises, on the embedded model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from saecli.core.graph import FeatureGraph
from saecli.core.site import Site

FORBIDDEN = ("transformers", "transformer_lens", "huggingface_hub", "pandas")


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """``saecli trace --layers 6:9`` in a process of its own: its directory and the modules it imported."""
    out = tmp_path_factory.mktemp("default") / "run"
    code = (
        "import sys, json\nfrom saecli.cli.app import run\n"
        f"code = run(['trace', '--layers', '6:9', '--out', {str(out)!r}, '--quiet'])\n"
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, modules = json.loads(done.stdout.splitlines()[-1])
    assert exit_code == 0
    return out, set(modules)


def test_nothing_heavy_is_imported(default_run: tuple[Path, set[str]]) -> None:
    assert not default_run[1] & set(FORBIDDEN)


def test_the_default_graph_carries_most_of_the_effect(default_run: tuple[Path, set[str]]) -> None:
    graph = FeatureGraph.from_json(json.loads((default_run[0] / "graph.json").read_text()))
    assert graph.coverage >= 0.8
    assert graph.sites == ("6", "6.attn_out", "6.mlp_out", "7", "7.attn_out", "7.mlp_out", "8")
    assert graph.metric.name == "over-illegal"
    assert graph.metric.value > 0
    assert len(graph.positions) == 20


def test_conservation_on_the_embedded_model() -> None:
    from itertools import chain

    from saecli.asking.question import ask
    from saecli.attribution.clean import clean_run
    from saecli.attribution.gradient import direct_edges
    from saecli.trace.config import TraceConfig
    from zoo.load import load_model, load_suite

    model = load_model("othello-mini", dtype=torch.float64)
    suite = load_suite("othello-mini", dtype=torch.float64).attach(model)
    question = ask(model, TraceConfig(), suite, "resid_pre")
    sites = suite.resolve("7:9")
    clean = clean_run(model, {site: suite[site] for site in sites}, question.tokens_S, question.metric)
    sums = {site: torch.zeros(len(nodes), dtype=torch.float64) for site, nodes in clean.nodes.items()}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes)):
        sums[block.parents.site] += block.weight_CP.sum(0)
    for site, nodes in clean.nodes.items():
        torch.testing.assert_close(sums[site], nodes.effect_N, rtol=0, atol=1e-12)


def test_the_model_plays_legal_moves_and_its_suite_is_as_good_as_it_says() -> None:
    from saecli.data.games import held_out_games, othello_quality
    from zoo.load import load_model, load_suite

    model = load_model("othello-mini")
    quality = othello_quality(model.module, held_out_games(100, shift=7))
    assert quality["top1_legal"] >= 0.96
    suite = load_suite("othello-mini").attach(model)
    assert len(suite) == 25
    measured = suite.info.measured
    assert set(measured) == set(suite)
    assert all(numbers["allowed_kept"] >= 0.95 for numbers in measured.values())
    site = Site(5, "resid_pre")
    x = model.run(torch.from_numpy(held_out_games(50, shift=7).tokens()[:, :-1]), read=[site], stop_after=site).sites[
        site
    ]
    flat = x.reshape(-1, x.shape[-1])
    left = (flat - suite[site].reconstruct(flat)).square().sum() / (flat - flat.mean(0)).square().sum()
    assert 1 - float(left) == pytest.approx(measured[site]["variance_explained"], abs=0.02)


def test_features_are_named_by_what_they_say_of_the_board(default_run: tuple[Path, set[str]]) -> None:
    graph = FeatureGraph.from_json(json.loads((default_run[0] / "graph.json").read_text()))
    labels = [node.label for node in graph.nodes if node.address.kind == "feature" and node.label]
    found = [label for label in labels if re.fullmatch(r"[A-H][1-8] .+, F1 \.\d\d", label)]
    assert len(found) > 20
    assert all(re.fullmatch(r'for ([A-H][1-8]|"pass")', label) for label in labels if label not in found)
    helping = min((node for node in graph.nodes if node.address.kind == "feature"), key=lambda node: node.effect)
    assert helping.label.startswith(f"{graph.metric.target} legal")
