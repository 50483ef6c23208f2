"""Direct effects equal what is measured in the model itself, run with frozen norms and patterns."""

from __future__ import annotations

import itertools
from functools import cache
from itertools import chain
from typing import Any

import pytest
import torch

from saecli.attribution import direct
from saecli.attribution.clean import ERROR, SiteNodes
from saecli.attribution.direct import DirectRun, direct_edges, direct_run
from saecli.attribution.direct_influence import influence_of
from saecli.attribution.gradient import EdgeBlock
from saecli.attribution.metric import CrossEntropyMetric, FeatureMetric, logit_difference
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import ThinModel, thin_gpt
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from tests.core.tiny_models import LAYERS, VOCAB, D, randomised, tiny
from tests.hand_models import random_dictionary
from tests.twins.direct import LOGITS, FrozenTwin

TOKENS = torch.tensor([3, 1, 4, 1, 5])
FAMILIES = ("gpt", "gpt2", "neox", "neox-sequential", "gemma2", "gemma3")
ROUNDING = {"gpt": 1e-9, "gpt2": 1e-9, "neox": 1e-6, "neox-sequential": 1e-6, "gemma2": 1e-5, "gemma3": 1e-5}
"""What is in single precision inside of transformers' modules: nothing, rotary embeddings, norms."""

WHOLE = ("gpt", "neox", "gemma2")
"""One of every shape of block has dictionaries of every kind."""

KINDS = ("transcoders", "skip", "from the stream", "across layers", "attention", "normed attention", "one layer")


def model_of(family: str) -> ThinModel:
    if family == "gpt":
        config = GPTConfig(vocab_size=VOCAB, n_ctx=16, n_layer=LAYERS, n_head=4, d_model=D)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = GPT(config)
        return thin_gpt(randomised(module).double())
    module, make = tiny(family)
    return make(module.double(), family)


def dictionary_of(reads: str, writes: str, seed: int, arch: str = "topk", /, **options: object) -> Dictionary:
    generator = torch.Generator().manual_seed(seed)
    config = DictionaryConfig(arch, D, 24, Site.parse(reads), Site.parse(writes), D, dict(options))
    made = make_dictionary(config).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.2)
        if arch == "jumprelu":
            made.threshold_F.abs_()  # type: ignore[operator]
    return made.requires_grad_(False)


def dictionaries_of(kind: str, *, parallel: bool) -> dict[Site, Dictionary]:
    layers = range(LAYERS)
    if kind == "across layers":
        found = [
            dictionary_of(
                f"{n}.mlp_in",
                f"{n}.mlp_out",
                n,
                "cross_layer",
                writes=[f"{m}.mlp_out" for m in range(n, LAYERS)],
                activation="relu",
                skip=n == 0,
            )
            for n in layers
        ]
    elif kind == "from the stream":
        before = "resid_pre" if parallel else "resid_mid"
        found = [dictionary_of(f"{n}.{before}", f"{n}.mlp_out", n, "jumprelu") for n in layers]
    elif kind == "one layer":
        found = [dictionary_of("1.mlp_in", "1.mlp_out", 1, k=4)]
    else:
        found = [dictionary_of(f"{n}.mlp_in", f"{n}.mlp_out", n, k=4, skip=kind == "skip") for n in layers]
    if "attention" in kind:
        options: dict[str, Any] = {"normalize": "layer_norm"} if kind.startswith("normed") else {}
        found += [random_dictionary(Site(n, "attn_out"), D, seed=7 + n, **options) for n in layers]
    return {one.config.reads: one for one in found}


def traced(family: str, kind: str, metric=None) -> DirectRun:
    model = model_of(family)
    metric = metric or logit_difference(4, VOCAB, 7, [2, 9], name="x", description="x", target="x")
    return direct_run(model, dictionaries_of(kind, parallel=model.info.parallel), TOKENS, metric)


def twin_of(run: DirectRun) -> FrozenTwin:
    replacement = run.replacement
    return FrozenTwin(replacement.frozen.model, replacement.dictionaries, TOKENS)  # type: ignore[arg-type]


def added_by(run: DirectRun, nodes: SiteNodes, n: int, *, token: bool = False) -> dict[Site, torch.Tensor]:
    """What one node adds to every place, by the plain formulas."""
    replacement, position, index = run.replacement, int(nodes.position_N[n]), int(nodes.index_N[n])
    zeros = torch.zeros(len(TOKENS), D, dtype=torch.float64)

    def at(vector: torch.Tensor) -> torch.Tensor:
        out = zeros.clone()
        out[position] = vector
        return out

    if token:
        return {Site(0, "resid_pre"): at(replacement.frozen.values[Site(0, "resid_pre")][position])}
    if index == ERROR:
        return {p: at(e[position]) for p, e in replacement.errors.items() if replacement.home(p) == nodes.site}
    dictionary = replacement.dictionaries[nodes.site]
    acts = torch.zeros(len(TOKENS), dictionary.n_latents, dtype=torch.float64)
    acts[position, index] = nodes.activation_N[n]
    _, restore = dictionary.prepare(replacement.frozen.values[nodes.site])
    zero = torch.zeros_like(acts)
    parts = restore(dictionary.decode(acts)) - restore(dictionary.decode(zero))
    written = dictionary.config.written
    return dict(zip(written, parts.reshape(len(TOKENS), len(written), D).unbind(1), strict=True))


@cache
def case(family: str, kind: str) -> tuple[DirectRun, FrozenTwin]:
    run = traced(family, kind)
    return run, twin_of(run)


cases = pytest.mark.parametrize(
    ("family", "kind"), [(f, k) for f in FAMILIES for k in KINDS if f in WHOLE or "normed" in k or k == "skip"]
)


def activations(run: DirectRun, children: SiteNodes, x_SD: torch.Tensor) -> torch.Tensor:
    """What children that stay active read from a value of their site, but for a constant."""
    dictionary = run.replacement.dictionaries[children.site]
    norm = dictionary.input_norm(run.replacement.frozen.values[children.site])
    scaled_SD = x_SD if norm is None else x_SD / norm.divisor
    return (scaled_SD[children.position_N] * dictionary.W_enc_DF.T[children.index_N]).sum(-1)


def change(run: DirectRun, twin: FrozenTwin, block: EdgeBlock, changes: dict, *, of: float = 1.0) -> torch.Tensor:
    """What a child or the metric becomes more when the model is changed, in units of ``of``."""
    seen = twin.run({place: of * vector for place, vector in changes.items()})
    if block.children is None:
        return (run.metric(seen[LOGITS][4][None]) - run.metric(twin.clean[LOGITS][4][None])) / of  # type: ignore[operator]
    site = block.children.site
    return (activations(run, block.children, seen[site]) - activations(run, block.children, twin.clean[site])) / of


def small(family: str) -> float:
    """Gemma 2 caps its logits, which is linear in small changes only."""
    return 1e-4 if family == "gemma2" else 1.0


@cases
def test_direct_effects_equal_measured_interventions(family: str, kind: str) -> None:
    """One node is taken away, and only what is frozen and linear acts: each child changes by the edge's weight."""
    run, twin = case(family, kind)
    edges = list(chain.from_iterable(direct_edges(run, run.nodes, tokens=run.tokens)))
    compared = 0
    for nodes, token in {id(block.parents): (block.parents, block.tokens) for block in edges}.values():
        for n in {len(nodes) // 3, len(nodes) - 1}:
            gone = {place: -vector for place, vector in added_by(run, nodes, n, token=token).items()}
            for block in edges:
                if block.parents is not nodes:
                    continue
                measured = change(run, twin, block, gone, of=small(family))
                exact = ROUNDING[family]
                torch.testing.assert_close(block.weight_CP[:, n], measured, rtol=exact, atol=exact / small(family))
                compared += int((measured.abs() > 1e-4).sum())
    assert compared > 20


@cases
def test_activations_are_the_sum_of_direct_effects(family: str, kind: str) -> None:
    """With all features, errors and tokens gone a constant is left: bias and what norms and attention add."""
    run, twin = case(family, kind)
    gone: dict[Site, torch.Tensor] = {}
    for nodes in (*run.nodes.values(), run.tokens):
        for n in range(len(nodes)):
            for place, vector in added_by(run, nodes, n, token=nodes is run.tokens).items():
                gone[place] = gone.get(place, 0) - vector
    for blocks in direct_edges(run, run.nodes, tokens=run.tokens):
        if blocks[0].children is None and family == "gemma2":
            continue
        total_C = torch.stack([block.weight_CP.sum(1) for block in blocks]).sum(0)
        exact = 20 * ROUNDING[family]
        torch.testing.assert_close(total_C, change(run, twin, blocks[0], gone), rtol=exact, atol=exact)


@cases
def test_total_effects_equal_interventions_that_features_pass_on(family: str, kind: str) -> None:
    """One node is taken away, and active features follow what they read."""
    run, twin = case(family, kind)
    of, exact = small(family), ROUNDING[family]
    for nodes in (*run.nodes.values(), run.tokens):
        for n in {0, len(nodes) // 2, len(nodes) - 1}:
            gone = added_by(run, nodes, n, token=nodes is run.tokens)
            seen = twin.run({place: -of * vector for place, vector in gone.items()}, features_act=True)
            measured = (run.metric(seen[LOGITS][4][None]) - run.metric(twin.clean[LOGITS][4][None])) / of  # type: ignore[operator]
            assert float(measured) == pytest.approx(float(nodes.effect_N[n]), rel=exact, abs=exact / of)


@cases
def test_conservation(family: str, kind: str) -> None:
    """An effect is what passes into the metric and, feature by feature, what each child makes of it."""
    run, _ = case(family, kind)
    total = {id(nodes): torch.zeros_like(nodes.effect_N) for nodes in (*run.nodes.values(), run.tokens)}
    for blocks in direct_edges(run, run.nodes, tokens=run.tokens):
        for block in blocks:
            gain_C = torch.ones(1, dtype=torch.float64)
            if block.children is not None:
                gain_C = -block.children.effect_N / block.children.activation_N
            total[id(block.parents)] += gain_C @ block.weight_CP
    for nodes in (*run.nodes.values(), run.tokens):
        assert nodes.effect_N.abs().max() > 1e-3
        torch.testing.assert_close(total[id(nodes)], nodes.effect_N, rtol=1e-9, atol=1e-9)


def test_edges_do_not_depend_on_which_nodes_are_asked_for_nor_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = case("gpt", "attention")

    def table(nodes: dict[Site, SiteNodes]) -> dict:
        found: dict = {}
        for block in chain.from_iterable(direct_edges(run, nodes, tokens=run.tokens)):
            child = block.children and block.children.site
            found.setdefault((child, block.parents.site, block.tokens), []).append(block.weight_CP)
        return {key: torch.cat([*parts]) for key, parts in found.items()}

    whole = table(run.nodes)
    some = {site: nodes.take(torch.arange(0, len(nodes), 3)) for site, nodes in run.nodes.items()}
    monkeypatch.setattr(direct, "_ROWS", 7)
    for key, weights in table(some).items():
        children = some[key[0]].features if key[0] is not None else None
        rows = torch.arange(0, len(run.nodes[key[0]].features), 3) if children is not None else torch.arange(1)
        columns = torch.arange(0, whole[key].shape[1], 1 if key[2] else 3)
        torch.testing.assert_close(weights, whole[key][rows][:, columns], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["transcoders", "attention", "across layers"])
def test_influence_is_that_of_the_matrix_of_all_edges(kind: str) -> None:
    """circuit-tracer's formula: p (A + A² + …), A the shares of what leads into every node."""
    run, _ = case("gpt", kind)
    every = [run.tokens, *(run.nodes[site] for site in sorted(run.nodes))]
    starts = dict(zip(map(id, every), itertools.accumulate([0, *map(len, every)]), strict=False))
    size = sum(map(len, every))
    matrix = torch.zeros(size + 1, size + 1, dtype=torch.float64)
    for block in chain.from_iterable(direct_edges(run, run.nodes, tokens=run.tokens)):
        rows = torch.tensor([size])
        if block.children is not None:
            nodes = run.nodes[block.children.site]
            keys = (nodes.position_N * 1000 + nodes.index_N).tolist()
            wanted = (block.children.position_N * 1000 + block.children.index_N).tolist()
            rows = torch.tensor([starts[id(nodes)] + keys.index(key) for key in wanted])
        start = starts[id(block.parents)]
        matrix[rows, start : start + len(block.parents)] = block.weight_CP.abs()
    shares = matrix / matrix.sum(1, keepdim=True).clamp_min(1e-300)
    expected, passing = torch.zeros(size + 1, dtype=torch.float64), torch.zeros(size + 1, dtype=torch.float64)
    passing[size] = 1
    while passing.any():
        passing = passing @ shares
        expected += passing
    found = influence_of(run)
    whole = torch.cat([found.tokens, *(found.nodes[site] for site in sorted(run.nodes))])
    torch.testing.assert_close(whole, expected[:size], rtol=1e-9, atol=1e-12)
    cumulated = found.shares()
    flat = torch.cat([cumulated.tokens, *(cumulated.nodes[site] for site in sorted(run.nodes))])
    for n in (int(whole.argmax()), size // 2, size - 1):
        share = whole[whole >= whole[n]].sum() / whole.sum()
        assert float(flat[n]) == pytest.approx(float(share), abs=1e-9)
    head = torch.cat([found.head(0.6)[site] for site in sorted(run.nodes)])
    ranked = whole.sort(descending=True).values
    least = ranked[int(((ranked.cumsum(0) - ranked) / whole.sum() < 0.6).sum()) - 1]
    assert torch.equal(head, whole[len(run.tokens) :] >= least)


def test_cross_entropy_is_taken_to_first_order() -> None:
    run = traced("gpt2", "transcoders", CrossEntropyMetric(4, 7, "token 7"))
    twin = twin_of(run)
    nodes = run.nodes[Site(0, "mlp_in")]
    gone = added_by(run, nodes, 3)
    seen = twin.run({place: -1e-6 * vector for place, vector in gone.items()}, features_act=True)
    slope = (run.metric(seen[LOGITS][4][None]) - run.value) / 1e-6  # type: ignore[operator]
    assert float(slope) == pytest.approx(float(nodes.effect_N[3]), abs=1e-5)


def test_a_feature_as_the_target() -> None:
    """It is a child like any other, and nothing after it is computed."""
    whole, _ = case("gpt2", "transcoders")
    last = Site(1, "mlp_in")
    features = whole.nodes[last].features
    n = int((features.position_N == 3).nonzero()[0])
    metric = FeatureMetric(3, whole.replacement.dictionaries[last], int(features.index_N[n]), "a feature")
    kept = {site: one for site, one in whole.replacement.dictionaries.items() if site < last}
    run = direct_run(whole.replacement.frozen.model, kept, TOKENS, metric)
    assert run.value == pytest.approx(float(features.activation_N[n]))
    weights = {}
    for block in chain.from_iterable(direct_edges(whole, whole.nodes, tokens=whole.tokens)):
        if block.children is not None and block.children.site == last:
            weights[block.parents.site, block.tokens] = block.weight_CP[n]
    for block in chain.from_iterable(direct_edges(run, run.nodes, tokens=run.tokens)):
        if block.children is None:
            torch.testing.assert_close(block.weight_CP[0], weights[block.parents.site, block.tokens])


@pytest.mark.parametrize(
    ("reads", "writes", "options", "message"),
    [
        ("0.mlp_out", "0.mlp_out", {}, "one reads 0.mlp_out and writes 0.mlp_out"),
        ("1.resid_pre", "1.resid_pre", {}, "reads 1.resid_pre and writes 1.resid_pre"),
        ("1.mlp_in", "0.mlp_out", {}, "which comes before it"),
        (
            "1.attn_out",
            "1.attn_out",
            {"arch": "temporal", "n_heads": 1, "bottleneck_factor": 2},
            "depend on the positions before them are not traced",
        ),
    ],
)
def test_what_has_no_linear_picture_is_refused(reads: str, writes: str, options: dict, message: str) -> None:
    arch = options.get("arch", "topk")
    one = dictionary_of(reads, writes, 0, arch, k=3, **{key: value for key, value in options.items() if key != "arch"})
    with pytest.raises(UsageError, match=message):
        direct_run(model_of("gpt"), {one.config.reads: one}, TOKENS, CrossEntropyMetric(4, 7, "token 7"))


def test_a_norm_without_a_scale_is_refused() -> None:
    config = GPTConfig(vocab_size=VOCAB, n_ctx=16, n_layer=1, n_head=4, d_model=D, norm="dynamic_tanh")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = thin_gpt(randomised(GPT(config)).double())
    one = dictionary_of("0.mlp_in", "0.mlp_out", 0, k=3)
    with pytest.raises(UsageError, match="no scale that could be held fixed"):
        direct_run(model, {one.config.reads: one}, TOKENS, CrossEntropyMetric(4, 7, "token 7"))
