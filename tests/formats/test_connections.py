"""Connections on disk: our own file, and the reference's pickles."""

from __future__ import annotations

import collections
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as serialise

from saecli.core.connections import Connections, Module, Rows, indptr_of
from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.connections import read_connections, write_connections
from saecli.formats.safe import load_safetensors, safetensors_metadata
from saecli.formats.scae_connections import from_padded, read_scae_connections
from tests.core.test_connections import A0, A1, KEPT, M0, M1, SUITE
from tests.formats.test_safe import Call, on_gpu

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lists(connections: Connections, down: Site, up: Site) -> list[list[int]]:
    features = range(len(connections.in_degree(down)))
    return [connections.row(down, up, feature).indices_E.tolist() for feature in features]


# --- our own file -----------------------------------------------------------------------------------------------------


@QUICK
@given(data=st.data())
def test_what_is_written_is_read(tmp_path: Path, data: st.DataObject):
    scored = data.draw(st.booleans())
    blocks = {}
    for down, up in data.draw(st.sets(st.sampled_from(Connections(SUITE, "all").pairs))):
        width = {module.reads: module.n_latents for module in SUITE}
        rows = [data.draw(st.lists(st.integers(0, width[up] - 1), unique=True)) for _ in range(width[down])]
        indices = torch.tensor([i for row in rows for i in row], dtype=torch.int32)
        scores = torch.tensor([1.0 / (1 + k) for row in rows for k in range(len(row))]) if scored else None
        blocks[down, up] = Rows(indptr_of(torch.tensor([len(row) for row in rows])), indices, scores)
    before = Connections(SUITE, "overall", None, blocks, False, "mean", "toy", "v1:a", "v1:b")
    write_connections(before, tmp_path / "connections.safetensors")
    after = read_connections(tmp_path / "connections.safetensors")
    for name in ("modules", "rule", "limit", "parallel", "score", "model", "model_fingerprint", "suite_fingerprint"):
        assert getattr(after, name) == getattr(before, name)
    assert after.pairs == before.pairs
    for pair, rows in before.rows.items():
        assert torch.equal(after.rows[pair].indptr, rows.indptr)
        assert torch.equal(after.rows[pair].indices, rows.indices)
        assert (after.rows[pair].scores is None) == (rows.scores is None)
        assert rows.scores is None or torch.equal(after.rows[pair].scores, rows.scores)


def test_keys_and_schema_are_those_of_the_contract(tmp_path: Path):
    write_connections(KEPT, path := tmp_path / "connections.safetensors")
    assert safetensors_metadata(path)["schema"] == "saecli.connections/1"
    tensors = load_safetensors(path)
    assert set(tensors) == {
        f"{pair}|{part}"
        for pair in ("0.mlp_in|0.attn_out", "1.attn_out|0.attn_out", "1.attn_out|0.mlp_in")
        for part in ("indptr", "indices", "scores")
    }
    assert tensors["0.mlp_in|0.attn_out|indices"].dtype == torch.int32
    assert tensors["0.mlp_in|0.attn_out|indptr"].tolist() == [0, 1, 1, 3]


def test_the_ends_of_the_model_say_what_they_are(tmp_path: Path):
    ends = (Module.embed(5), *SUITE, Module.logits(2, 5))
    write_connections(Connections(ends, "all"), path := tmp_path / "connections.safetensors")
    modules = json.loads(safetensors_metadata(path)["header"])["modules"]
    assert [one.get("what") for one in modules] == ["tokens", None, None, None, None, "logits"]
    assert read_connections(path).modules == ends


def test_the_same_connections_are_the_same_bytes(tmp_path: Path):
    """safetensors alone would write the two entries of the metadata in an order of chance."""
    written = set()
    for number in range(12):
        write_connections(KEPT, path := tmp_path / f"{number}.safetensors")
        written.add(path.read_bytes())
    assert len(written) == 1


def test_all_is_a_file_without_tensors(tmp_path: Path):
    write_connections(Connections(SUITE, "all", parallel=True), path := tmp_path / "connections.safetensors")
    assert load_safetensors(path) == {}
    assert read_connections(path).n_edges == Connections(SUITE, "all", parallel=True).n_edges


def forged(path: Path, *, header: dict[str, Any] | None = None, schema: str = "", **tensors: Any) -> None:
    write_connections(KEPT, path)
    metadata, values = safetensors_metadata(path), load_safetensors(path)
    for name, value in tensors.items():
        name = name.replace("__", "|").replace("_in", ".mlp_in").replace("_out", ".attn_out")
        if value is None:
            del values[name]
        else:
            values[name] = value
    document = {**json.loads(metadata["header"]), **(header or {})}
    document = {name: value for name, value in document.items() if value != "gone"}
    path.write_bytes(serialise(values, {"schema": schema or metadata["schema"], "header": json.dumps(document)}))


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"schema": "saecli.connections/2"}, "this saecli reads saecli.connections/1. Update saecli."),
        ({"schema": "other/1"}, "is no file of connections: its schema is 'other/1'"),
        ({"header": {"extra": 1}}, "damaged header"),
        ({"header": {"rule": "gone"}}, "damaged header"),
        ({"header": {"rule": "some"}}, "no rule 'some'"),
        ({"header": {"limit": True}}, "damaged header"),
        ({"header": {"limit": 2}}, "limit 2 hold 3"),
        ({"header": {"parallel": 1}}, "damaged header"),
        ({"header": {"parallel": True}}, "cannot depend"),
        ({"header": {"model": 3}}, "damaged header"),
        ({"header": {"modules": [{"reads": "0.attn_out"}]}}, "is no module"),
        (
            {"header": {"modules": [{"reads": "0.resid_pre", "writes": "0.resid_pre", "features": 2, "what": "x"}]}},
            "expected features, tokens, logits",
        ),
        ({"header": {"modules": [{"reads": "0.x", "writes": "0.attn_out", "features": 4}]}}, "names no site"),
        ({"header": {"modules": []}}, "unknown tensor"),
        ({"more": torch.zeros(1)}, "unknown tensor more"),
        ({"0_in__0_out__indptr": None}, "has no tensor 0.mlp_in|0.attn_out|indptr"),
        ({"0_in__0_out__indices": None}, "has no tensor 0.mlp_in|0.attn_out|indices"),
        ({"0_in__0_out__indptr": torch.zeros(3, dtype=torch.int64)}, "expected I64 (4,)"),
        ({"0_in__0_out__indices": torch.zeros(3, dtype=torch.int64)}, "expected I32 (3,)"),
        ({"0_in__0_out__scores": torch.zeros(3, 1)}, "expected F32 (3,)"),
        ({"0_in__0_out__scores": torch.zeros(2)}, "one finite number per connection"),
        ({"0_in__0_out__indices": torch.tensor([2, 0, 9], dtype=torch.int32)}, "outside 0..3"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any], answer: str):
    forged(path := tmp_path / "connections.safetensors", **change)
    with pytest.raises(InputError) as caught:
        read_connections(path)
    assert answer in str(caught.value)
    assert str(path) in str(caught.value)


# --- the reference's pickles ------------------------------------------------------------------------------------------

PADDED = {
    "attn_0": {},
    "mlp_0": {"attn_0": torch.tensor([[2, -1], [-1, -1], [-1, 0]])},
    "attn_1": {
        "attn_0": torch.tensor([[1, -1], [-1, 2], [-1, -1], [0, 1]]),
        "mlp_0": torch.tensor([[2, -1], [1, -1], [-1, -1], [-1, -1]]),
    },
    "mlp_1": {"attn_0": torch.full((3, 2), -1), "mlp_0": torch.full((3, 2), -1), "attn_1": torch.tensor([[3, 0]] * 3)},
}
WIDTHS = {module.reads: module.n_latents for module in SUITE}


def gpu_pickle(values: dict[str, dict[str, torch.Tensor]]) -> bytes:
    """What pickle.dump writes for a dict of tensors on a GPU."""

    def tensor(block: torch.Tensor) -> Call:
        storage = Call(torch.storage._load_from_bytes, on_gpu(block.contiguous()))
        strides = (block.shape[1], 1)
        hooks = collections.OrderedDict()
        return Call(torch._utils._rebuild_tensor_v2, storage, 0, tuple(block.shape), strides, False, hooks)

    return pickle.dumps({down: {up: tensor(block) for up, block in ups.items()} for down, ups in values.items()})


@pytest.mark.parametrize("kind", ["pkl", "gpu", "pt"])
def test_padded_rows_are_read(tmp_path: Path, kind: str):
    path = tmp_path / ("top_connections_2.pt" if kind == "pt" else "top_connections_2.pkl")
    if kind == "pt":
        torch.save(PADDED, path)
    else:
        path.write_bytes(gpu_pickle(PADDED) if kind == "gpu" else pickle.dumps(PADDED))
    connections, notes = read_scae_connections(path, widths=WIDTHS, model="toy")
    assert notes == ()
    assert (connections.rule, connections.limit, connections.model) == ("per-feature", 2, "toy")
    assert connections.modules == SUITE
    assert lists(connections, M0, A0) == [[2], [], [0]]
    assert lists(connections, A1, A0) == [[1], [2], [], [0, 1]]
    assert lists(connections, A1, M0) == [[2], [1], [], []]
    assert lists(connections, M1, A1) == [[3, 0]] * 3


def test_same_layer_pairs_of_parallel_models_are_left_out_and_reported():
    connections, notes = from_padded(PADDED, where="x.pkl", widths=WIDTHS, parallel=True)
    assert connections.pairs == ((A1, A0), (A1, M0), (M1, A0), (M1, M0))
    assert notes[0].startswith("8 connections lead from the attention to the MLP of one block")


def test_no_connections_at_all(tmp_path: Path):
    (path := tmp_path / "top_connections_0.pkl").write_bytes(
        gpu_pickle({"attn_0": {}, "mlp_0": {"attn_0": torch.empty(5, 0, dtype=torch.int64)}})
    )
    connections, notes = read_scae_connections(path)
    assert (connections.limit, connections.n_edges) == (0, 0)
    assert [module.n_latents for module in connections.modules] == [5, 5]
    assert notes == ("The file does not say how many features attn_0 has; it is taken to be as wide as the others.",)


def test_modules_without_features_have_no_connections():
    connections, _ = from_padded({"mlp_0": {"attn_0": torch.empty(0, 2, dtype=torch.int64)}}, where="x.pkl")
    assert connections.n_edges == 0


@pytest.mark.parametrize("value", [None, "all"])
def test_none_and_all_connect_everything(value: str | None):
    connections, _ = from_padded(value, where="x.pt", widths=WIDTHS)
    assert connections.rule == "all"
    assert connections.modules == SUITE
    with pytest.raises(InputError, match="does not say between which modules"):
        from_padded(value, where="x.pt", widths=4)


def test_repeated_and_surplus_entries_are_reported():
    block = torch.tensor([[1, 1, 0], [-1, 2, 2]])
    other = torch.tensor([[0, 1, -1], [-1, -1, -1]])
    values = {"mlp_1": {"attn_0": block, "mlp_0": other}}
    connections, notes = from_padded(values, where="x", widths={A0: 3, M0: 2, M1: 2})
    assert lists(connections, M1, A0) == [[1, 0], [2]]
    assert notes == (
        "2 connections stand twice in their row and are kept once.",
        "A feature has 4 connections where its rows have 3 places per upstream module.",
    )
    assert connections.limit == 4


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ([1, 2], "holds no connections"),
        ({}, "holds no connections"),
        ({"mlp_0": torch.zeros(2, 2)}, "holds no connections"),
        ({"mlp_0": {"resid_0": torch.zeros(2, 2, dtype=torch.int64)}}, "has the module 'resid_0'"),
        ({"mlp_0": {"attn_0": torch.zeros(2, 2)}}, r"has torch.float32 \(2, 2\) for mlp_0 from attn_0"),
        ({"mlp_0": {"attn_0": [1]}}, "has list for mlp_0 from attn_0"),
        ({"mlp_0": {"attn_0": torch.tensor([[2], [0]])}}, r"mlp_0 from attn_0 names feature 2, and there are 0\.\.1"),
        ({"mlp_0": {"attn_0": torch.tensor([[-2], [0]])}}, "names feature -2"),
        ({"attn_0": {"mlp_0": torch.tensor([[1], [0]])}}, "cannot depend"),
        ({"attn_0": {"attn_0": torch.tensor([[1], [0]])}}, "cannot depend"),
        (
            {"mlp_0": {"attn_0": torch.tensor([[0], [0]])}, "mlp_1": {"mlp_0": torch.tensor([[0]])}},
            "does not tell the number of features of attn_0: 1, 2",
        ),
    ],
)
def test_impossible_files_are_refused(values: Any, answer: str):
    with pytest.raises(InputError, match=answer) as caught:
        from_padded(values, where="x.pkl")
    assert str(caught.value).startswith("x.pkl")


def test_widths_that_contradict_the_rows_are_refused():
    with pytest.raises(InputError, match="number of features of mlp_0: 3, 7"):
        from_padded(PADDED, where="x.pkl", widths=7)


def test_how_scores_were_computed_is_kept(tmp_path: Path):
    path = tmp_path / "connections.safetensors"
    write_connections(replace(KEPT, details={"method": "mean |Jacobian|", "steps": 4}), path)
    assert read_connections(path).details == {"method": "mean |Jacobian|", "steps": 4}
    write_connections(KEPT, path)
    assert "details" not in json.loads(safetensors_metadata(path)["header"])
    tensors, header = load_safetensors(path), json.loads(safetensors_metadata(path)["header"])
    for wrong in ({"steps": 1.5}, ["steps"], {"steps": None}):
        metadata = {"schema": "saecli.connections/1", "header": json.dumps({**header, "details": wrong})}
        path.write_bytes(serialise(tensors, metadata))
        with pytest.raises(InputError, match="damaged header"):
            read_connections(path)
