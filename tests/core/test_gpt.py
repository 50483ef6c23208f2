"""The GPT module: causal, hookable, and equal whichever way attention is computed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from saecli.core.gpt import GPT, GeluNew, GPTConfig

SHAPE = GPTConfig(vocab_size=11, n_ctx=9, n_layer=2, n_head=2, d_model=8)
TOKENS = torch.tensor([[1, 4, 2, 8, 5, 7, 0, 3, 10]])


@pytest.fixture
def model() -> GPT:
    torch.manual_seed(0)
    return GPT(SHAPE).eval()


def test_othello_mini_has_1_6_million_parameters():
    assert GPTConfig(vocab_size=61, n_ctx=59, n_layer=8, n_head=4, d_model=128).n_parameters == 1_601_792


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_counted_right(tied: bool):
    config = dataclasses.replace(SHAPE, tied=tied, d_mlp=13)
    assert config.n_parameters == sum(parameter.numel() for parameter in GPT(config).parameters())


@pytest.mark.parametrize(
    "changes", [{"norm": "dynamic_tanh"}, {"head_bias": True}, {"norm": "dynamic_tanh", "tied": False}]
)
def test_what_gpt2_has_not_is_counted_listed_and_computed(changes: dict[str, object]):
    from saecli.formats.gpt_assembly import parameter_shapes

    config = dataclasses.replace(SHAPE, **changes)  # pyright: ignore[reportArgumentType]
    model = GPT(config).eval()
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert dict(parameter_shapes(config)) == shapes
    assert config.n_parameters == sum(parameter.numel() for parameter in model.parameters())
    with torch.no_grad():
        before = model(TOKENS)
        if config.head_bias:
            model.lm_head.bias.fill_(2.0)
            torch.testing.assert_close(model(TOKENS), before + 2)
        else:
            norm = model.transformer.h[1].ln_2
            for parameter, value in ((norm.alpha, 0.3), (norm.weight, 2.0), (norm.bias, 0.5)):
                parameter.fill_(value)
            x = torch.randn(2, 8)
            torch.testing.assert_close(norm(x), 2 * torch.tanh(0.3 * x) + 0.5)
            assert not torch.allclose(model(TOKENS), before)


def test_initial_weights_are_gpt2s():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=300, n_ctx=100, n_layer=2, n_head=2, d_model=64, tied=False))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.dim() == 1:
            assert (parameter == 1).all()
        else:
            std = 0.01 if "c_proj" in name else 0.02  # 0.02 / sqrt(2 * 2 blocks)
            assert parameter.std().item() == pytest.approx(std, rel=0.05), name


def test_later_tokens_do_not_change_earlier_logits(model: GPT):
    changed = TOKENS.clone()
    changed[0, 5:] = 9
    torch.testing.assert_close(model(TOKENS)[:, :5], model(changed)[:, :5])
    assert not torch.allclose(model(TOKENS)[:, 5], model(changed)[:, 5])


def test_eager_attention_equals_the_fused_kernel_and_keeps_its_pattern(model: GPT):
    fused = model(TOKENS)
    first, second = model.attentions()
    first.eager = True
    torch.testing.assert_close(model(TOKENS), fused)
    assert second.pattern is None
    assert first.pattern is not None
    torch.testing.assert_close(first.pattern.sum(-1), torch.ones(1, 2, 9))
    assert not first.pattern.triu(1).any()
    first.eager = False
    model(TOKENS)
    assert first.pattern is None


def test_fp32_attention_under_autocast_is_close_to_fp32(model: GPT):
    exact = model(TOKENS)
    model.set_attention_fp32(True)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(TOKENS).float(), exact, atol=0.02, rtol=0.02)


def test_every_part_can_be_hooked(model: GPT):
    seen: dict[str, torch.Size] = {}
    parts = {name: part for name, part in model.named_modules() if name.startswith("transformer.h.1")}
    for name, part in parts.items():
        part.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: output.shape}))
    model(TOKENS)
    width = {"mlp.c_fc": 32, "mlp.act": 32, "attn.c_attn": 24}
    for name in parts:
        assert seen[name] == (1, 9, width.get(name.removeprefix("transformer.h.1."), 8)), name


def test_a_hook_that_replaces_the_last_block_replaces_the_logits(model: GPT):
    def silence(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(output)

    model.transformer.h[1].register_forward_hook(silence)
    assert not model(TOKENS).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"n_head": 3}, "not a multiple"), ({"n_layer": 0}, "positive"), ({"activation": "relu"}, "use 'gelu_new'")],
)
def test_impossible_shapes_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        GPTConfig(**(vars(SHAPE) | changes))  # pyright: ignore[reportArgumentType]


def test_too_long_a_sequence_is_refused(model: GPT):
    with pytest.raises(ValueError, match="at most 9 tokens, got 10"):
        model(torch.zeros(1, 10, dtype=torch.int64))


def test_gelu_without_a_graph_is_torchs_own():
    x = torch.cat([torch.linspace(-60, 60, 4001), torch.tensor([-1e4, 1e4, -3e38, 3e38, 0.0, torch.inf])])
    expected = torch.nn.functional.gelu(x.double(), approximate="tanh")
    with torch.no_grad():
        torch.testing.assert_close(GeluNew()(x).double(), expected, rtol=1e-6, atol=1e-6)
        assert torch.equal(GeluNew()(x.bfloat16()), torch.nn.functional.gelu(x.bfloat16(), approximate="tanh"))
        kept = x.clone()
        GeluNew()(x)
        assert torch.equal(x, kept)
    assert torch.equal(GeluNew()(x), torch.nn.functional.gelu(x, approximate="tanh"))
