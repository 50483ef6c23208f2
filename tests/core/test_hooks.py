"""The thin maker of HookedModel on the project's own GPT, against a forward pass written by hand."""

import pytest
import torch
import torch.nn.functional as F

from saecli.core.errors import UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import ThinModel, thin_gpt
from saecli.core.site import KINDS, Site

LAYERS, D, HEADS, VOCAB, CONTEXT = 3, 32, 4, 23, 12
FINAL = Site(LAYERS, "resid_pre")
SITES = [Site(layer, kind) for layer in range(LAYERS) for kind in KINDS]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def gpt() -> GPT:
    """A GPT in float64 whose every weight is random, norms and biases too."""
    torch.manual_seed(0)
    module = GPT(GPTConfig(VOCAB, CONTEXT, LAYERS, HEADS, D)).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return module


@pytest.fixture(scope="module")
def model(gpt) -> ThinModel:
    return thin_gpt(gpt, "tiny")


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(0, VOCAB, (2, 7), generator=torch.Generator().manual_seed(1))


def by_hand(gpt, tokens, edits=None):
    """The forward pass in plain operations; ``edits`` act where their site passes."""
    edits, seen = edits or {}, {}

    def at(site, value):
        value = edits[site](value) if site in edits else value
        seen[site] = value
        return value

    def norm(ln, x):
        return F.layer_norm(x, x.shape[-1:], ln.weight, ln.bias, ln.eps)

    body = gpt.transformer
    x = body.wte.weight[tokens] + body.wpe.weight[: tokens.shape[1]]
    for i, block in enumerate(body.h):
        x = at(Site(i, "resid_pre"), x)
        q, k, v = (
            at(Site(i, "attn_in"), norm(block.ln_1, x)) @ block.attn.c_attn.weight + block.attn.c_attn.bias
        ).split(D, -1)
        q, k, v = (t.unflatten(-1, (HEADS, -1)) for t in (q, k, v))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / (D // HEADS) ** 0.5
        seen[i, "pattern"] = scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), -1e30).softmax(-1)
        z = torch.einsum("bhqk,bkhd->bqhd", seen[i, "pattern"], v).flatten(2)
        z = at(Site(i, "attn_z"), z)
        x = at(Site(i, "resid_mid"), x + at(Site(i, "attn_out"), z @ block.attn.c_proj.weight + block.attn.c_proj.bias))
        hidden = at(Site(i, "mlp_in"), norm(block.ln_2, x)) @ block.mlp.c_fc.weight + block.mlp.c_fc.bias
        hidden = at(Site(i, "mlp_post"), F.gelu(hidden, approximate="tanh"))
        x = x + at(Site(i, "mlp_out"), hidden @ block.mlp.c_proj.weight + block.mlp.c_proj.bias)
    x = at(FINAL, x)
    return norm(body.ln_f, x) @ gpt.lm_head.weight.T, seen


def close(a, b, atol=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def no_hooks_left(module):
    return not any(m._forward_hooks or m._forward_pre_hooks or "forward" in m.__dict__ for m in module.modules())


def test_every_site_and_the_logits_are_those_of_the_forward_pass(model, gpt, tokens):
    run = model.run(tokens, read=SITES)
    logits, seen = by_hand(gpt, tokens)
    assert torch.equal(run.logits, gpt(tokens))
    close(run.logits, logits)
    for site in SITES:
        close(run.sites[site], seen[site])
        assert run.sites[site].shape[-1] == model.info.width(site)
    close(model.embed(tokens), seen[Site(0, "resid_pre")])
    close(model.unembed(seen[FINAL][:, -1]), logits[:, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_replaces_the_site_for_everything_after_it(model, gpt, tokens, kind):
    site = Site(1, kind)
    edits = {site: lambda x: x * 0.5 + 1}
    run = model.run(tokens, write=edits, read=[site, FINAL])
    logits, seen = by_hand(gpt, tokens, edits)
    close(run.logits, logits)
    close(run.sites[site], seen[site])
    close(run.sites[FINAL], seen[FINAL])
    assert no_hooks_left(gpt)


def test_writes_at_several_sites_of_a_block_act_in_the_order_of_computation(model, gpt, tokens):
    edits = {Site(1, kind): (lambda x, k=k: x * 1.5 + k) for k, kind in enumerate(KINDS)}
    close(model.run(tokens, write=edits).logits, by_hand(gpt, tokens, edits)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_at_a_written_site_is_exact(model, gpt, tokens, kind):
    site = Site(1, kind)
    value = by_hand(gpt, tokens)[1][site].detach() + 0.3

    def gradient(run):
        leaf = value.clone().requires_grad_()
        return torch.autograd.grad(run({site: lambda _: leaf}).sin().sum(), leaf)[0]

    expected = gradient(lambda edits: by_hand(gpt, tokens, edits)[0])
    close(gradient(lambda edits: model.run(tokens, write=edits).logits), expected)
    assert expected.abs().max() > 1e-3


def test_the_gradient_at_a_read_resid_mid_includes_the_skip_path(model, gpt, tokens):
    start = {Site(0, "resid_pre"): lambda x: x.detach().requires_grad_()}
    run = model.run(tokens, write=start, read=[Site(1, "resid_mid")])
    logits, seen = by_hand(gpt, tokens, start)
    ours = torch.autograd.grad(run.logits.sin().sum(), run.sites[Site(1, "resid_mid")])[0]
    close(ours, torch.autograd.grad(logits.sin().sum(), seen[Site(1, "resid_mid")])[0])


@pytest.mark.parametrize("site", SITES, ids=str)
def test_nothing_after_the_last_site_needed_is_computed(model, gpt, tokens, site):
    ran = []
    names = {f"transformer.h.{i}.{part}" for i in range(LAYERS) for part in ("attn.c_attn", "mlp.c_fc", "mlp.c_proj")}
    handles = [
        gpt.get_submodule(name).register_forward_hook(lambda _m, _a, _o, name=name: ran.append(name))
        for name in (*names, "lm_head")
    ]
    run = model.run(tokens, read=[site], stop_after=site)
    for handle in handles:
        handle.remove()
    layer, kind = site.depth[0], KINDS[site.depth[1]]
    parts = [(1, "attn.c_attn")] * (kind not in ("resid_pre", "attn_in"))
    parts += [(2, "mlp.c_fc")] * (kind in ("mlp_post", "mlp_out")) + [(3, "mlp.c_proj")] * (kind == "mlp_out")
    expected = {name for name in names if int(name.split(".")[2]) < layer}
    expected |= {f"transformer.h.{layer}.{part}" for _, part in parts}
    assert set(ran) == expected
    assert run.logits is None
    close(run.sites[site], by_hand(gpt, tokens)[1][site])


@pytest.mark.parametrize("site", [Site(layer, "resid_pre") for layer in range(LAYERS + 1)], ids=str)
def test_a_pass_from_a_residual_site_equals_the_rest_of_the_whole_pass(model, gpt, tokens, site):
    _, seen = by_hand(gpt, tokens)
    after = [other for other in SITES if other >= site]
    run = model.run_from(site, seen[site] + 0.25, read=after)
    logits, moved = by_hand(gpt, tokens, {site: lambda x: x + 0.25})
    close(run.logits, logits)
    for other in after:
        close(run.sites[other], moved[other])
    assert no_hooks_left(gpt)


def test_a_pass_from_a_site_writes_stops_and_takes_any_batch(model, gpt, tokens):
    edits = {Site(1, "resid_post"): lambda x: x + 1, Site(2, "mlp_out"): lambda x: x * 2}
    resid = model.run(tokens, read=[Site(1, "resid_pre")]).sites[Site(1, "resid_pre")]
    run = model.run_from(Site(0, "resid_post"), resid.repeat(3, 1, 1), read=[FINAL], write=edits, stop_after=FINAL)
    assert run.logits is None
    close(run.sites[FINAL], by_hand(gpt, tokens, edits)[1][FINAL].repeat(3, 1, 1))


def test_blocks_as_functions_equal_the_run_at_every_site(model, tokens):
    seen = model.run(tokens, read=SITES).sites
    for i in range(LAYERS):
        block = model.block(i)
        close(block.ln1(seen[Site(i, "resid_pre")]), seen[Site(i, "attn_in")])
        close(block.attention(seen[Site(i, "attn_in")]), seen[Site(i, "attn_out")])
        close(block.ln2(seen[Site(i, "resid_mid")]), seen[Site(i, "mlp_in")])
        close(block.mlp(seen[Site(i, "mlp_in")]), seen[Site(i, "mlp_out")])
        close(block(seen[Site(i, "resid_pre")][:, :4]), seen[Site(i, "resid_post")][:, :4])


def test_block_gradients_in_a_batch_equal_one_at_a_time(model, tokens):
    block = model.block(1)
    x = model.embed(tokens).requires_grad_()
    v = torch.randn(5, *x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    y = block(x)
    one_by_one = torch.stack([torch.autograd.grad(y, x, each, retain_graph=True)[0] for each in v])
    close(torch.autograd.grad(y, x, v, is_grads_batched=True)[0], one_by_one)
    close(torch.func.vmap(torch.func.vjp(block, x.detach())[1])(v)[0], one_by_one)
    close(torch.func.vmap(lambda each: block(each[None])[0])(x.detach()), y.detach())


def test_block_weights_in_canonical_shapes_rebuild_the_block(model, tokens):
    seen = model.run(tokens, read=SITES, aux=[(1, "attn_pattern")])
    w, pattern = model.block(1).weights, seen.aux[1, "attn_pattern"]
    attn_in = seen.sites[Site(1, "attn_in")]
    v = torch.einsum("bsd,hde->bhse", attn_in, w.W_V) + w.b_V[:, None]
    close(torch.einsum("bhqk,bhke,hed->bqd", pattern, v, w.W_O) + w.b_O, seen.sites[Site(1, "attn_out")])
    q = torch.einsum("bsd,hde->bhse", attn_in, w.W_Q) + w.b_Q[:, None]
    k = torch.einsum("bsd,hde->bhse", attn_in, w.W_K) + w.b_K[:, None]
    scores = q @ k.mT / model.info.d_head**0.5
    close(scores.masked_fill(~torch.ones(7, 7, dtype=torch.bool).tril(), -torch.inf).softmax(-1), pattern)
    hidden = F.gelu(seen.sites[Site(1, "mlp_in")] @ w.W_in + w.b_in, approximate="tanh")
    close(hidden @ w.W_out + w.b_out, seen.sites[Site(1, "mlp_out")])
    x = seen.sites[Site(1, "resid_pre")]
    normed = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    close(normed * w.ln1_w + w.ln1_b, attn_in)


def test_read_only_sites(model, gpt, tokens):
    asked = [(1, "attn_pattern"), (1, "ln1_scale"), (2, "ln2_scale"), (LAYERS, "final_scale")]
    run = model.run(tokens, aux=asked)
    _, seen = by_hand(gpt, tokens)
    close(run.aux[1, "attn_pattern"], seen[1, "pattern"])
    for key, site in zip(asked[1:], [Site(1, "resid_pre"), Site(2, "resid_mid"), FINAL], strict=True):
        close(run.aux[key], (seen[site].var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt())
    assert set(run.aux) == set(asked)
    assert run.sites == {}
    assert all(attention.pattern is None and not attention.eager for attention in gpt.attentions())


def test_right_padding_changes_nothing_at_real_positions(model, tokens):
    padded = F.pad(tokens, (0, 3))
    mask = F.pad(torch.ones_like(tokens, dtype=torch.bool), (0, 3))
    close(model.run(padded, attention_mask=mask).logits[:, :7], model.run(tokens).logits)
    with pytest.raises(UsageError, match="right padding"):
        model.run(padded, attention_mask=mask.flip(1))


def test_a_failing_edit_leaves_the_module_as_it_was(model, gpt, tokens):
    def fail(_):
        raise RuntimeError("no")

    for site in SITES:
        with pytest.raises(RuntimeError, match="no"):
            model.run(tokens, read=SITES, write={site: fail})
    with pytest.raises(RuntimeError, match="no"):
        model.run_from(Site(1, "resid_pre"), model.embed(tokens), write={Site(2, "mlp_in"): fail})
    assert no_hooks_left(gpt)
    assert torch.equal(model.run(tokens).logits, gpt(tokens))


def test_parameters_are_frozen_and_no_graph_is_recorded(model, gpt, tokens):
    assert not gpt.training
    assert not any(parameter.requires_grad for parameter in gpt.parameters())
    assert not model.run(tokens).logits.requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, t: m.run(t, read=[Site(3, "mlp_in")]), "no site 3.mlp_in"),
        (lambda m, t: m.run(t, read=[Site(4, "resid_pre")]), "no site 4.resid_pre"),
        (lambda m, t: m.run(t, write={Site(3, "resid_post"): lambda x: x}), "no site 3.resid_post"),
        (lambda m, t: m.run(t.repeat(1, 2)), "reads 1 to 12 tokens at a time, not 14"),
        (lambda m, t: m.run(t[0]), r"\[batch, sequence\]"),
        (lambda m, t: m.run(t, read=[Site(2, "mlp_in")], stop_after=Site(1, "mlp_in")), "does not reach 2.mlp_in"),
        (lambda m, t: m.run(t, aux=[(1, "attn_pattern")], stop_after=Site(1, "resid_pre")), "does not reach 1.attn_in"),
        (lambda m, t: m.run(t, aux=[(3, "ln1_scale")]), "no read-only site 'ln1_scale' at layer 3"),
        (lambda m, t: m.run_from(Site(1, "resid_mid"), m.embed(t)), "starts at resid_pre or resid_post"),
        (
            lambda m, t: m.run_from(Site(1, "resid_pre"), m.embed(t), read=[Site(0, "mlp_in")]),
            "does not go by 0.mlp_in",
        ),
        (
            lambda m, t: m.run_from(Site(2, "resid_pre"), m.embed(t), stop_after=Site(1, "mlp_in")),
            "does not go by 1.mlp_in",
        ),
        (lambda m, t: m.run_from(Site(1, "resid_pre"), m.embed(t)[0]), r"\[batch, sequence, 32\]"),
    ],
)
def test_a_site_or_sequence_the_model_does_not_have_is_a_usage_error(model, tokens, call, message):
    with pytest.raises(UsageError, match=message):
        call(model, tokens)
