"""``saecli trace --benchmark``: planted circuits are what they are said to be, and methods are judged rightly."""

from __future__ import annotations

import csv
import itertools
import json
import random

import pytest
import torch

from saecli.core.address import parse_address
from saecli.core.errors import UsageError
from saecli.core.result import json_schema
from saecli.trace import benchmark
from saecli.trace.benchmark import METHODS, judge, together
from saecli.trace.benchmark_result import BenchmarkResult
from saecli.trace.planted.case import Case, target_at
from saecli.trace.planted.known import known_cases
from saecli.trace.planted.mechanism import Mechanism
from saecli.trace.planted.program import compile_program, mechanism_of
from saecli.trace.planted.random_programs import SIZES, Size, random_case, random_cases, random_program
from saecli.trace.planted.score import Counts, count_edges, count_nodes
from tests.twins.planted import true_edges

KNOWN = {case.name: case for case in known_cases()}
TINY = Size("tiny programs", 1, 2, 1)


def reachable(edges: set, target) -> set:
    """Edges on paths into the target."""
    found, waiting = set(), [target]
    while waiting:
        child = waiting.pop()
        new = {edge for edge in edges if edge[1] == child} - found
        found |= new
        waiting += [parent for parent, _ in new]
    return found


@pytest.mark.parametrize("name", ["ladder", "AND gate", "OR gate"])
def test_known_truth_is_what_removing_every_set_of_nodes_shows(name: str) -> None:
    case = KNOWN[name]
    assert reachable(true_edges(case), target_at(0)) == case.truth.edges


@pytest.mark.parametrize("number", range(6))
def test_generated_truth_is_what_removing_every_set_of_nodes_shows(number: int) -> None:
    case = random_case(TINY, number, seed=1)
    assert reachable(true_edges(case), target_at(0)) == case.truth.edges
    assert case.truth.nodes == {parent for parent, _ in case.truth.edges}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name.split()[0])
def test_compiled_programs_compute_their_variables(size: Size) -> None:
    """Every feature at every site and position is the program's variable, and the metric is its output."""
    chance = random.Random(3)
    program = random_program(size, chance)
    count = len(program.variables)
    basis = torch.linalg.qr(torch.randn(count, count, generator=torch.manual_seed(3), dtype=torch.float64))[0]
    case, cells = compile_program(program, "p", "p", basis=basis), mechanism_of(program)
    clean = case.clean()
    assert clean.value == pytest.approx(cells.value(target_at(size.tokens - 1)))
    checked = 0
    for site, dictionary in case.dictionaries.items():
        acts_SF = dictionary.encode(clean.values[site])
        for position, index in itertools.product(range(size.tokens), range(count)):
            address = parse_address(f"{site}:{index}@{position}")
            value = cells.value(address) if address in cells else 0.0
            assert float(acts_SF[position, index]) == pytest.approx(value, abs=1e-8)
            checked += value != 0
    assert checked > size.tokens * len(case.dictionaries)


def test_programs_are_of_the_seed() -> None:
    one, same, other = (random_case(SIZES[0], 2, seed) for seed in (5, 5, 6))
    assert one.truth == same.truth
    assert torch.equal(one.model.embed(one.tokens_S), same.model.embed(same.tokens_S))
    assert not torch.equal(one.model.embed(one.tokens_S), other.model.embed(other.tokens_S))
    assert [case.group for case in random_cases(0)] == [s.name for s in SIZES for _ in range(8)]


def test_a_variable_that_is_no_cause_is_no_node() -> None:
    """A neuron that stays silent whatever is removed, and all that leads to it alone, is left out."""
    cells = Mechanism()
    a, b, c, y = (parse_address(f"0:{n}@0") for n in range(4))
    cells.source(a, 1.0)
    cells.source(b, 1.0)
    cells.add(c, [b], lambda x: max(0.0, x[0] - 2))
    cells.add(y, [a, c], lambda x: x[0] + 5 * x[1])
    assert cells.truth(y).edges == {(a, y)}


@pytest.mark.parametrize(
    ("case", "method", "nodes", "edges", "faithful"),
    [
        # q, its edge and what it carries show only when a is removed; b → q needs a removed as well
        ("ladder", "gradient", (7, 7), (8, 8), 1.0),
        ("AND gate", "gradient", (4, 4), (4, 4), 1.0),
        # both inputs of OR are saturated: nothing is seen of them, one by one or to first order
        ("OR gate", "gradient", (2, 2), (2, 2), 0.0),
        ("OR gate", "ablation", (2, 2), (2, 2), 0.0),
        ("OR gate", "ig", (4, 4), (2, 2), 1.0),
        # published: recall and precision 1 at threshold .01, and .9 of the output without BOS and one
        ("frac_prevs", "gradient", (11, 11), (11, 11), 0.9),
        ("frac_prevs", "ablation", (11, 15), (11, 23), 1.0),
        ("frac_prevs + BOS", "gradient", (11, 11), (11, 11), 0.9),
        ("frac_prevs + BOS", "ablation", (15, 15), (15, 23), 1.0),
        ("ladder", "exact", (8, 8), (9, 9), 1.0),
        ("frac_prevs + BOS", "exact", (15, 15), (15, 15), 1.0),
    ],
)
def test_known_answers(case: str, method: str, nodes: tuple, edges: tuple, faithful: float) -> None:
    found = judge(KNOWN[case], method)
    assert found.nodes is not None
    assert found.edges is not None
    assert (found.nodes.hits, found.nodes.found) == nodes
    assert (found.edges.hits, found.edges.found) == edges
    assert found.faithful[0] == pytest.approx(faithful)


def test_the_published_circuit_of_the_fraction_is_the_true_one() -> None:
    assert {str(node) for node in KNOWN["frac_prevs"].truth.nodes} == {
        *(f"{site}@{p}" for p in (5, 6, 7) for site in ("0:2", "0.mlp_out:6", "1:6")),
        "1.attn_out:7@9",
        "2:7@9",
    }
    more = KNOWN["frac_prevs + BOS"].truth.nodes - KNOWN["frac_prevs"].truth.nodes
    assert {str(node) for node in more} == {"0:0@0", "1:0@0", "0:5@9", "1:5@9"}


def test_the_pool_of_random_edges_holds_every_direct_path() -> None:
    """Of the AND gate: u, v → y in the MLP; u, v → u, v, y and y → u, v, y at the end, and these to the target."""
    case = KNOWN["AND gate"]
    clean = case.clean()
    assert count_nodes([], case.truth, clean) == Counts(4, 0, 0, 6)
    assert count_edges([], case.truth, clean) == Counts(4, 0, 0, 2 * 1 + 2 * 3 + 1 * 3 + 3)
    for case in (*KNOWN.values(), random_case(SIZES[1], 0, 0)):
        counts = count_edges(case.truth.edges, case.truth, case.clean())
        assert counts.hits == counts.true <= counts.pool


def test_random_circuits_hit_as_often_as_expected() -> None:
    pool, true, found = range(7), {0, 1, 2}, 4
    hits = [len(true & set(drawn)) for drawn in itertools.combinations(pool, found)]
    assert Counts(len(true), found, 0, len(pool)).expected_hits == pytest.approx(sum(hits) / len(hits))


def test_counts_of_a_case_are_added_up() -> None:
    cases = [random_case(SIZES[0], number, 0) for number in range(2)]
    one, other = (judge(case, "gradient") for case in cases)
    both = together([one, other])
    assert both.nodes is not None
    assert one.nodes is not None
    assert other.nodes is not None
    assert both.nodes.hits == one.nodes.hits + other.nodes.hits
    assert both.nodes.recall == pytest.approx(both.nodes.hits / (one.nodes.true + other.nodes.true))
    assert both.circuits == 2
    assert both.faithfulness == pytest.approx((one.faithful[0] + other.faithful[0]) / 2)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One generated program instead of all."""
    monkeypatch.setattr(benchmark, "random_cases", lambda seed: [random_case(SIZES[0], 0, seed)])


def rows_of(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "benchmark.csv").read_text().splitlines()))


@pytest.mark.usefixtures("few")
def test_the_command(saecli, tmp_path) -> None:
    told = saecli("trace", "--benchmark")
    assert told.code == 0
    assert "frac_prevs       gradient  1.00 (0.14)  1.00 (0.14)  1.00 (0.02)  1.00 (0.02)  0.90 (0.00)" in told.out
    found = saecli("trace", "--benchmark", "--json", "--out", str(tmp_path / "again"))
    document = json.loads(found.out)
    assert list(document) == json_schema(BenchmarkResult)["required"]
    assert document["schema"] == BenchmarkResult.schema
    assert {one["method"] for one in document["scores"]} == set(METHODS)
    (first,) = (tmp_path / "saecli-runs").glob("trace-*")
    assert {path.name for path in first.iterdir()} == {
        "benchmark.csv",
        "benchmark.png",
        "benchmark.svg",
        "manifest.json",
        "result.json",
    }
    for name in ("benchmark.csv", "benchmark.svg", "benchmark.png", "result.json"):
        assert (first / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert len(rows_of(first)) == len(METHODS) * (len(KNOWN) + 1)
    assert not (tmp_path / "saecli-runs" / "latest-trace").exists()  # there is no graph to look at


@pytest.mark.usefixtures("few")
def test_a_method_that_does_not_apply_is_told(saecli, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = benchmark.find

    def refuse(case: Case, name: str, *rest):
        if (case.name, name) == ("ladder", "ig"):
            raise UsageError("There is no way.")
        return find(case, name, *rest)

    monkeypatch.setattr(benchmark, "find", refuse)
    told = saecli("trace", "--benchmark", "--out", str(tmp_path / "run"))
    assert told.code == 0
    assert "\nig does not apply to ladder: There is no way.\n" in told.out
    assert "\nsearch does not apply: it asks what keeps a whole prediction" in told.out
    (row,) = (r for r in rows_of(tmp_path / "run") if (r["case"], r["method"]) == ("ladder", "ig"))
    assert row["note"] == "There is no way."
    assert row["nodes_recall"] == ""


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("python-mini",), "MODEL"),
        (("--method", "ig"), "--method"),
        (("--game", "f5"), "--game"),
        (("--top-nodes", "3"), "--top-nodes"),
        (("--layers", "6:9"), "--layers"),
        (("--device", "cpu"), "--device"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_choices_of_one_trace_are_refused(saecli, argv: tuple[str, ...], name: str) -> None:
    told = saecli("trace", *argv, "--benchmark")
    assert told.code == 2
    assert f"{name} is of one trace" in told.err


def test_the_plan_names_circuits_and_methods(saecli) -> None:
    told = saecli("trace", "--benchmark", "--plan")
    assert told.code == 0
    assert f"by {', '.join(METHODS)}: ladder, AND gate" in told.out
    assert "8 large programs" in told.out
