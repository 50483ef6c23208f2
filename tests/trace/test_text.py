"""``saecli trace`` on text and on games of chess: what is read, what may be asked, and counterfactuals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saecli.asking.question import Question, ask, open_reader
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.engine import trace
from zoo.load import load_model, load_suite

PROMPT, PATCH = "a cat sat", "a dog sat"


def graph_of(folder: Path, **options: object) -> FeatureGraph:
    config = TraceConfig(model=str(folder), **({"prompt": PROMPT} | options))  # type: ignore[arg-type]
    model = load_model(str(folder), dtype=torch.float64)
    return trace(config, model, load_suite(str(folder), dtype=torch.float64).attach(model))


def question_of(folder: Path | str, *, bos: int | None = None, **options: object) -> Question:
    config = TraceConfig(model=str(folder), **options)  # type: ignore[arg-type]
    model = load_model(str(folder))
    return ask(model, config, load_suite(str(folder)), "resid_pre", bos=bos)


def graph_in(run: Path) -> FeatureGraph:
    return FeatureGraph.from_json(json.loads((run / "graph.json").read_text()))


def test_python_mini_needs_no_more_than_its_name(saecli, tmp_path: Path) -> None:
    done = saecli("trace", "python-mini", "--layers", "4", "--out", "run", "--json")
    assert done.code == 0, done.err
    graph = graph_in(tmp_path / "run")
    assert "".join(position.text for position in graph.positions) == "def first(items):\n    for item in ite"
    assert (graph.metric.name, graph.metric.target) == ("over-mean", '"m"')
    assert "Input: def first(items):↵" in (tmp_path / "run" / "graph.svg").read_text()


def test_chess_mini_needs_no_more_than_its_name(saecli, tmp_path: Path) -> None:
    done = saecli("trace", "chess-mini", "--layers", "6", "--out", "run", "--json")
    assert done.code == 0, done.err
    text = "".join(position.text for position in graph_in(tmp_path / "run").positions)
    assert text.startswith(";1.")
    assert text.endswith(" 7.")


@pytest.mark.parametrize(
    ("game", "read"),
    [
        ("1. e4 e5 2. Nf3 Nc6", ";1.e4 e5 2.Nf3 Nc6 3."),
        ("e4 e5 Nf3", ";1.e4 e5 2.Nf3 "),
        (";1.e4 e5 2.N", ";1.e4 e5 2.N"),
    ],
)
def test_a_game_of_chess_is_written_as_the_model_reads_it(game: str, read: str) -> None:
    assert "".join(position.text for position in question_of("chess-mini", game=game).positions) == read


def test_the_default_metric_is_the_logit_over_the_mean_of_all(tiny_text: Path) -> None:
    graph = graph_of(tiny_text, target="x")
    model = load_model(str(tiny_text), dtype=torch.float64)
    logits = model.run(torch.tensor([[ord(c) for c in PROMPT]])).logits
    assert logits is not None
    assert graph.metric.value == pytest.approx(float(logits[0, -1, ord("x")] - logits[0, -1].mean()))
    assert [position.text for position in graph.positions] == list(PROMPT)


@pytest.mark.parametrize(
    ("target", "shown"),
    [("x", '"x"'), ("\\n", '"\\n"'), (" ", '" "'), ("-", '"-"'), (":", '":"'), ("x-y", '"x" over "y"')],
)
def test_targets_of_text(tiny_text: Path, target: str, shown: str) -> None:
    assert question_of(tiny_text, prompt=PROMPT, target=target).metric.target == shown


def test_a_feature_is_told_from_a_token(tiny_text: Path) -> None:
    graph = graph_of(tiny_text, keep=1.0)
    feature = max(
        (n for n in graph.nodes if n.address.kind == "feature" and n.address.site == Site(2, "resid_pre")),
        key=lambda n: n.activation or 0,
    )
    assert graph_of(tiny_text, target=feature.address.format()).metric.name == "feature"


def test_words_have_a_space_before_them_and_the_prompt_begins_as_the_dictionaries_saw_it(tiny_words: Path) -> None:
    question = question_of(tiny_words, prompt="the other cat", target=" cat", bos=0)
    assert [position.text for position in question.positions] == ["<|endoftext|>", "the", " other", " cat"]
    assert question.metric.target == '" cat"'
    graph = graph_of(tiny_words, prompt="the other", layers="2")
    assert [position.text for position in graph.positions] == ["<|endoftext|>", "the", " other"]


def test_parts_of_characters_are_spelled_out(tiny_words: Path) -> None:
    shown = [position.text for position in question_of(tiny_words, prompt="é").positions]
    assert shown == ["\\xc3", "\\xa9"]


@pytest.mark.parametrize("at", [4, -5])
def test_at_explains_an_earlier_prediction(tiny_text: Path, at: int) -> None:
    here, short = graph_of(tiny_text, at=at), graph_of(tiny_text, prompt=PROMPT[:5])
    assert here.positions == short.positions
    assert {n.address: n.effect for n in here.nodes} == {n.address: n.effect for n in short.nodes}


def test_a_patched_feature_takes_its_counterfactual_activation(tiny_text: Path) -> None:
    """Node effects by ablation are those of writing the other prompt's activation into the site."""
    graph = graph_of(tiny_text, patch=PATCH, method="ablation", keep=1.0, target="x")
    model = load_model(str(tiny_text), dtype=torch.float64)
    suite = load_suite(str(tiny_text), dtype=torch.float64)
    config = TraceConfig(model=str(tiny_text), prompt=PROMPT, patch=PATCH, target="x")
    question = ask(model, config, suite, "resid_pre")
    site = Site(1, "resid_pre")
    assert question.patch_S is not None
    other = suite[site].encode(model.run(question.patch_S[None], read=[site]).sites[site])
    checked = [n for n in graph.nodes if n.address.site == site and n.effect]
    assert any(n.activation == 0 for n in checked)  # silent here, active there
    for node in checked:
        position, index = node.address.position, node.address.index

        def write(x: torch.Tensor, position: int = position, index: int = index) -> torch.Tensor:  # type: ignore
            x, acts = x.clone(), suite[site].encode(x)
            x[0, position] += (other - acts)[0, position, index] * suite[site].W_dec_FD[index]
            return x

        logits = model.run(question.tokens_S[None], write={site: write}).logits
        assert logits is not None
        after = float(question.metric(logits[:, -1]))  # type: ignore[operator]
        assert after - graph.metric.value == pytest.approx(node.effect, abs=1e-9)


def test_first_order_effects_towards_the_counterfactual_are_conserved(tiny_text: Path) -> None:
    graph = graph_of(tiny_text, patch=PATCH, keep=1.0, top_edges=10**6)
    outgoing: dict = {}
    for edge in graph.edges:
        outgoing[edge.source] = outgoing.get(edge.source, 0.0) + edge.weight
    measured = [node for node in graph.nodes if node.address.kind in ("feature", "error") and node.effect]
    for node in measured:
        assert outgoing[node.address] == pytest.approx(node.effect, abs=1e-11)
    before = {n.address.position for n in measured if n.address.position is not None}
    assert min(before) == 2  # what the two prompts share is no cause of their difference


def test_what_follows_the_last_difference_only_counts(tiny_text: Path) -> None:
    """In single precision too, where two passes over equal tokens need not give equal bits."""
    config = TraceConfig(model=str(tiny_text), prompt=PROMPT, patch="a cat sad", keep=1.0)
    model = load_model(str(tiny_text))
    graph = trace(config, model, load_suite(str(tiny_text)).attach(model))
    assert {n.address.position for n in graph.nodes} == {8}


def test_the_counterfactual_is_told(tiny_text: Path, tmp_path: Path, saecli) -> None:
    call = ("trace", tiny_text, "--prompt", PROMPT, "--target", "x", "--layers", "2")
    done = saecli(*call, "--patch", PATCH, "--out", "run", "--json")
    found = json.loads(done.out)
    other = json.loads(saecli(*call[:3], PATCH, *call[4:], "--out", "other", "--json").out)
    assert found["patched_value"] == pytest.approx(other["value"], abs=1e-5)
    assert other["patched_value"] is None
    assert graph_in(tmp_path / "run").settings["patch"] == PATCH
    assert "counterfactual" in (tmp_path / "run" / "graph.svg").read_text()


def test_an_othello_game_has_counterfactuals_too(tiny: Path) -> None:
    model = load_model(str(tiny), dtype=torch.float64)
    suite = load_suite(str(tiny), dtype=torch.float64).attach(model)
    config = TraceConfig(model=str(tiny), game="f5d6c3d3c4f4", patch="f5d6c3d3c4f3")
    graph = trace(config, model, suite)
    positions = {n.address.position for n in graph.nodes if n.address.kind in ("feature", "error")}
    assert positions == {5}


BAD = {
    "too long": (["--prompt", "x" * 60], 3, "60 tokens; ", "reads at most 59"),
    "empty": (["--prompt", ""], 3, "--prompt is empty", ""),
    "no such character": (["--prompt", "caffè"], 3, "no 'è' (U+00E8)", ""),
    "a game": (["--game", "f5"], 2, "which reads text", "Use --prompt"),
    "patch of another length": (["--patch", "a mouse sat"], 3, "--patch has 11 tokens, and the input has 9", ""),
    "no such character in the patch": (["--patch", "a dög sat"], 3, "--patch: ", "'ö'"),
    "a patch of itself": (["--patch", PROMPT], 2, "--patch is the input itself", ""),
    "a patch that differs later": (["--at", "1", "--patch", PATCH], 2, "up to position 1", ""),
    "several tokens": (["--target", "xy"], 2, '"xy" is not one token but several: "x", "y"', ""),
    "no such target": (["--target", "è"], 3, "--target", "'è'"),
    "a metric of boards": (["--metric", "over-illegal"], 2, "board models", "over-mean"),
    "behind the end": (["--at", "9"], 2, "positions 0..8", ""),
    "before the beginning": (["--at", "-10"], 2, "positions 0..8", ""),
    "a pair is missing": (["--metric", "logit-diff", "--target", "x"], 2, "needs a pair", "A-B"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str, tiny_text: Path, tmp_path: Path, saecli) -> None:
    arguments, code, *words = BAD[case]
    prompt = [] if "--prompt" in arguments or "--game" in arguments else ["--prompt", PROMPT]
    done = saecli("trace", tiny_text, *prompt, *arguments)
    assert (done.code, done.out) == (code, "")
    for word in words:
        assert word in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("game", "words"),
    [
        ("1. e4 e5 2. Ke3", "move 2.Ke3 (character 12) is illegal"),
        ("e4 e5 N", "ends within a move"),
        ("1-0", "has no moves"),
        (";1.e4 e5 2.Nf9", "Nf9"),
    ],
)
def test_bad_games_of_chess(game: str, words: str, saecli) -> None:
    done = saecli("trace", "chess-mini", "--game", game, "--layers", "6", "--out", "run")
    assert (done.code, done.out) == (3, "")
    assert words in done.err


def test_games_of_chess_show_the_board_where_a_move_ends():
    reader = open_reader(load_model("chess-mini"), "chess-mini", None)
    given = reader.read(";1.e4 e5 2.N", "--game")
    boards = {place: one.board for place, one in enumerate(given.positions) if one.board}
    assert list(boards) == [5, 8, 11]  # after the blanks, and at the end
    first = next(iter(boards.values()))
    assert (first[12], first[28]) == (".", "P")  # e2, e4
    assert next(reversed(boards.values()))[36] == "p"  # e5
