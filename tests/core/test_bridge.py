"""Two makers, equal numbers: hooks on Hugging Face modules against TransformerLens' bridge, on tiny random models.

Every weight is random, norms and biases too.
"""

import copy

import pytest
import torch

from saecli.core.errors import UsageError
from saecli.core.site import KINDS, Site
from tests.core.tiny_models import CONTEXT, HEADS, LAYERS, VOCAB, D, tiny

FAMILIES = ("gpt2", "neox", "neox-sequential", "gemma2", "gemma3")


class Pair:
    """One random model under both makers; the bridge has a copy of its own, since it changes its module."""

    def __init__(self, family):
        from saecli.core.bridge import BridgeModel

        self.module, make = tiny(family)
        self.bridge = BridgeModel(copy.deepcopy(self.module), name="tiny")
        self.thin = make(self.module, "tiny")
        kinds = [kind for kind in KINDS if not (self.thin.info.parallel and kind == "resid_mid")]
        self.sites = [Site(layer, kind) for layer in range(LAYERS) for kind in kinds]
        self.tokens = torch.randint(1, VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request) -> Pair:
    return Pair(request.param)


def close(a, b, atol=3e-6):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def refused_by_both(pair, site):
    """Parallel blocks have no resid_mid."""
    for model in (pair.thin, pair.bridge):
        with pytest.raises(UsageError, match="run in parallel"):
            model.run(pair.tokens, read=[site])


def no_hooks_left(module):
    return not any(m._forward_hooks or m._forward_pre_hooks or "forward" in m.__dict__ for m in module.modules())


def test_the_makers_agree_at_every_site(pair):
    thin, bridge = pair.thin.run(pair.tokens, read=pair.sites), pair.bridge.run(pair.tokens, read=pair.sites)
    assert torch.equal(thin.logits, pair.module(pair.tokens).logits)
    close(thin.logits, bridge.logits)
    for site in pair.sites:
        close(thin.sites[site], bridge.sites[site])
        assert thin.sites[site].shape == (*pair.tokens.shape, pair.thin.info.width(site))
    resid = thin.sites[Site(LAYERS, "resid_pre")]
    for model in (pair.thin, pair.bridge):
        close(model.embed(pair.tokens), thin.sites[Site(0, "resid_pre")])
        close(model.unembed(resid[0, -1]), thin.logits[0, -1])
    assert pair.thin.info.parallel == pair.bridge.info.parallel
    assert no_hooks_left(pair.module)


@pytest.mark.parametrize("kind", KINDS)
def test_writes_and_their_gradients_agree(pair, kind):
    site = Site(1, kind)
    if site not in pair.sites:
        return refused_by_both(pair, site)

    def run(model):
        leaf = []

        def edit(x):
            leaf.append((x.detach() * 0.5 + 1).requires_grad_())
            return leaf[0]

        out = model.run(pair.tokens, write={site: edit}, read=[Site(LAYERS, "resid_pre")])
        return out.logits, torch.autograd.grad(out.sites[Site(LAYERS, "resid_pre")].sin().sum(), leaf)[0]

    thin, bridge = run(pair.thin), run(pair.bridge)
    close(thin[0], bridge[0])
    close(thin[1], bridge[1], atol=2e-5)
    assert thin[1].abs().max() > 0.05


def test_a_write_at_resid_mid_and_its_gradient_equal_a_block_run_by_hand(pair):
    if pair.thin.info.parallel:
        return refused_by_both(pair, Site(1, "resid_mid"))
    site, after = Site(1, "resid_mid"), Site(1, "resid_post")
    block = pair.thin.block(1)
    mid = (pair.thin.run(pair.tokens, read=[site]).sites[site] * 1.5 + 0.5).requires_grad_()
    expected = mid + block.mlp(block.ln2(mid))
    (gradient,) = torch.autograd.grad(expected.sin().sum(), mid)
    for model in (pair.thin, pair.bridge):
        got = model.run(pair.tokens, write={site: lambda _: mid}, read=[after], stop_after=after).sites[after]
        close(got, expected)
        close(torch.autograd.grad(got.sin().sum(), mid)[0], gradient)


def test_patterns_and_scales_agree(pair):
    asked = [(1, "attn_pattern"), (1, "ln1_scale"), (0, "ln2_scale"), (LAYERS, "final_scale")]
    thin, bridge = pair.thin.run(pair.tokens, aux=asked), pair.bridge.run(pair.tokens, aux=asked)
    for key in asked:
        assert thin.aux[key].shape == bridge.aux[key].shape
        close(thin.aux[key], bridge.aux[key])
    close(thin.aux[1, "attn_pattern"].sum(-1), torch.ones(2, HEADS, 9))


def test_blocks_as_functions_equal_the_run_at_every_site(pair):
    seen = pair.thin.run(pair.tokens, read=pair.sites).sites
    for model in (pair.thin, pair.bridge):
        for i in range(LAYERS):
            block = model.block(i)
            assert block.parallel == pair.thin.info.parallel
            close(block.ln1(seen[Site(i, "resid_pre")]), seen[Site(i, "attn_in")], atol=1e-6)
            close(block.attention(seen[Site(i, "attn_in")]), seen[Site(i, "attn_out")], atol=1e-6)
            source = Site(i, "resid_pre" if block.parallel else "resid_mid")
            close(block.ln2(seen[source]), seen[Site(i, "mlp_in")], atol=1e-6)
            close(block.mlp(seen[Site(i, "mlp_in")]), seen[Site(i, "mlp_out")], atol=1e-6)
            close(block(seen[Site(i, "resid_pre")].repeat(3, 1, 1)), seen[Site(i, "resid_post")].repeat(3, 1, 1))


def test_block_weights_agree(pair):
    thin, bridge = pair.thin.block(1).weights, pair.bridge.block(1).weights
    for name, value in vars(thin).items():
        other = getattr(bridge, name)
        if value is None:
            assert other is None or not other.any(), name
        else:
            close(value, other, atol=0)


def test_block_gradients_in_a_batch_equal_one_at_a_time(pair):
    block = pair.thin.block(0)
    with torch.inference_mode():  # what is caught here must serve gradients later
        block.attention(torch.zeros(1, 9, D))
    x = pair.thin.embed(pair.tokens).requires_grad_()
    v = torch.randn(3, *x.shape, generator=torch.Generator().manual_seed(2))
    y = block(x)
    one_by_one = torch.stack([torch.autograd.grad(y, x, each, retain_graph=True)[0] for each in v])
    close(torch.autograd.grad(y, x, v, is_grads_batched=True)[0], one_by_one, atol=2e-5)
    close(torch.func.vmap(torch.func.vjp(block, x.detach())[1])(v)[0], one_by_one, atol=2e-5)


@pytest.mark.parametrize("site", [Site(0, "resid_pre"), Site(0, "resid_post"), Site(LAYERS, "resid_pre")], ids=str)
def test_a_pass_from_a_residual_site_equals_the_rest_of_the_whole_pass(pair, site):
    whole = pair.thin.run(pair.tokens, read=pair.sites, write={site: lambda x: x + 0.25})
    resid = whole.sites[site]
    after = [other for other in pair.sites if other >= site]
    for model in (pair.thin, pair.bridge):
        run = model.run_from(site, resid, read=after)
        close(run.logits, whole.logits)
        for other in after:
            close(run.sites[other], whole.sites[other])
    assert no_hooks_left(pair.module)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_after_the_last_site_needed_is_computed(pair, kind):
    site = Site(0, kind)
    if site not in pair.sites:
        return refused_by_both(pair, site)
    ran = []
    last = pair.thin._parts[1].mlp_down
    handles = [module.register_forward_hook(lambda *_: ran.append(1)) for module in (last, pair.module.lm_head)]
    run = pair.thin.run(pair.tokens, read=[site], stop_after=site)
    for handle in handles:
        handle.remove()
    assert not ran
    assert run.logits is None
    bridge = pair.bridge.run(pair.tokens, read=[site], aux=[(0, "ln1_scale")], stop_after=site)
    assert bridge.logits is None
    close(run.sites[site], bridge.sites[site])


def test_a_failing_edit_leaves_both_as_they_were(pair):
    def fail(_):
        raise RuntimeError("no")

    for model in (pair.thin, pair.bridge):
        before = model.run(pair.tokens).logits
        for site in pair.sites:
            with pytest.raises(RuntimeError, match="no"):
                model.run(pair.tokens, write={site: fail})
        assert torch.equal(model.run(pair.tokens).logits, before)
    assert no_hooks_left(pair.module)


def test_the_own_gpt_and_hugging_faces_have_equal_sites():
    from saecli.core.gpt import GPT, GPTConfig
    from saecli.core.hooks import thin_gpt

    module, make = tiny("gpt2")
    own = GPT(GPTConfig(VOCAB, CONTEXT, LAYERS, HEADS, D))
    own.load_state_dict(module.state_dict())
    sites = [Site(layer, kind) for layer in range(LAYERS) for kind in KINDS]
    tokens = torch.randint(VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    first, second = thin_gpt(own).run(tokens, read=sites), make(module, "tiny").run(tokens, read=sites)
    close(first.logits, second.logits)
    for site in sites:
        close(first.sites[site], second.sites[site])


def test_gemma3_runs_and_its_blocks_are_exact():
    module, make = tiny("gemma3")
    model = make(module, "tiny")
    tokens = torch.randint(1, VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    sites = [Site(layer, kind) for layer in range(LAYERS) for kind in KINDS]
    run = model.run(tokens, read=sites)
    assert torch.equal(run.logits, module(tokens).logits)
    for layer in range(LAYERS):
        close(model.block(layer)(run.sites[Site(layer, "resid_pre")]), run.sites[Site(layer, "resid_post")])
    close(model.unembed(run.sites[Site(LAYERS, "resid_pre")]), run.logits)


def test_moving_a_model_says_nothing(pair, capsys):
    for one in (pair.thin, pair.bridge):
        one.module.to("cpu").to(torch.float32)
    assert capsys.readouterr().out == ""
