"""What a trace tells of features beside labels: contexts, what they speak for, what resembles them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from saecli.core.address import parse_address
from saecli.core.cache import Cache
from saecli.core.fingerprint import fingerprint_module
from saecli.core.graph import FeatureGraph
from saecli.core.suite import Suite
from saecli.data.sequences import open_sequences
from saecli.features.harvest import Reader, codes_of
from saecli.games import othello
from zoo.load import attach, load_model, load_suite


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    return Cache.at()


def traced(saecli, model: Path, out: Path, *flags: str) -> FeatureGraph:
    done = saecli("trace", str(model), "--out", str(out), "--overwrite", *flags)
    assert done.code == 0, done.err
    return FeatureGraph.from_json(json.loads((out / "graph.json").read_text()))


def suite_of(folder: Path) -> tuple[Reader, Suite]:
    model, suite = load_model(str(folder)), load_suite(str(folder))
    attach(suite, model)
    return Reader(model, fingerprint_module(model.module)), suite


def test_every_feature_is_told_of_once(saecli, tiny: Path, tmp_path: Path, cache: Cache):
    graph = traced(saecli, tiny, tmp_path / "run")
    features = {node.address.at(None) for node in graph.nodes if node.address.kind == "feature"}
    assert set(graph.features) == features
    one = next(iter(graph.features.values()))
    assert len(one.raises) == len(one.lowers) == 5
    assert all(len(name) == 2 for name, _ in one.raises)  # moves
    assert not one.contexts
    for address, evidence in graph.features.items():
        assert all(parse_address(name).site != address.site for name, _ in evidence.near)
    with (tmp_path / "run" / "nodes.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    address, evidence = next(iter(graph.features.items()))
    row = next(row for name, row in rows.items() if name.startswith(f"{address}@"))
    assert row["raises"].lstrip("'").startswith(f"{evidence.raises[0][0]} ")
    assert not list(cache.contexts_of("").parent.glob("*"))


def test_contexts_are_the_strongest_firings_with_their_boards(saecli, tiny: Path, tmp_path: Path, cache: Cache):
    flags = ("--contexts", "3", "--context-width", "2", "--context-sequences", "12")
    graph = traced(saecli, tiny, tmp_path / "run", *flags)
    reader, suite = suite_of(tiny)
    sequences = open_sequences("othello", 12)
    (site,) = suite.resolve("1", ("resid_pre",))
    codes = list(codes_of(reader, suite, [site], sequences))
    acts = torch.cat([part.sites[site].dense(suite[site].n_latents) for part in codes]).unflatten(0, (12, -1))
    for address in (one for one in graph.features if one.site == site):
        contexts = graph.features[address].contexts
        best = acts[..., address.index].amax(1).topk(3)
        for context, sequence, value in zip(contexts, best.indices.tolist(), best.values.tolist(), strict=True):
            assert context.sequence == sequence
            assert context.values[context.at] == pytest.approx(value, rel=1e-3)
            moves = othello.tokens_to_moves(sequences.tokens_BS[sequence, : context.position + 1].numpy()).tolist()
            around = list(map(othello.square_name, moves[-context.at - 1 :]))
            assert list(context.tokens[: context.at + 1]) == around
            boards = othello.replay([moves])
            assert context.board is not None
            assert context.board.count("x") == int(othello.squares(boards.black[0, -1]).sum())
            assert context.board.count("o") == int(othello.squares(boards.white[0, -1]).sum())
    files = sorted(cache.contexts_of("").parent.iterdir())
    assert len(files) == len(graph.sites)
    before = {file: file.stat().st_mtime_ns for file in files}
    again = traced(saecli, tiny, tmp_path / "run", *flags)
    assert again == graph
    assert {file: file.stat().st_mtime_ns for file in files} == before  # nothing was computed again
    files[0].write_bytes(b"cut")
    assert traced(saecli, tiny, tmp_path / "run", *flags) == graph


def test_contexts_of_text_name_features_that_have_no_label(saecli, tiny_text: Path, tmp_path: Path, cache: Cache):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"def f{i}(x): return x + {i}" * 9 for i in range(60)))
    graph = traced(
        saecli, tiny_text, tmp_path / "run", "--prompt", "def f(", "--contexts", "4", "--data", str(text),
        "--context-sequences", "10",
    )  # fmt: skip
    told = [one for one in graph.features.values() if one.contexts]
    assert told
    assert all(context.board is None for one in told for context in one.contexts)
    named = [node for node in graph.nodes if node.label.startswith('on "')]
    assert named
    for node in named:
        one = graph.evidence(node.address)
        assert one is not None
        assert one.label == node.label


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--data", "othello"), "--data is read with --ablation mean and resample, and with --contexts."),
        (("--context-width", "3"), "--context-width and --context-sequences belong to --contexts."),
    ],
)
def test_flags_that_say_nothing_are_refused(saecli, tiny: Path, tmp_path: Path, flags: tuple[str, ...], said: str):
    done = saecli("trace", str(tiny), "--out", str(tmp_path / "run"), *flags)
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_contexts_of_a_model_without_data_need_some(saecli, tiny_text: Path, tmp_path: Path, cache: Cache):
    done = saecli("trace", str(tiny_text), "--prompt", "def f(", "--contexts", "2", "--out", str(tmp_path / "run"))
    assert done.code == 2
    assert "Add --data" in done.err
