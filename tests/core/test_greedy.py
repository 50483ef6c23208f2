"""Many greedy continuations at once equal one prefix at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.gpt import GPT, GPTConfig
from saecli.core.greedy import continue_greedily


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=11, n_ctx=14, n_layer=2, n_head=2, d_model=8, head_bias=True)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 5))
def test_one_prefix_at_a_time(model: GPT, seed: int, count: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    tokens_BS = torch.randint(0, 11, (3, 10), generator=draw)
    starts_BP = torch.randint(1, 11, (3, 4), generator=draw)
    found = continue_greedily(model, tokens_BS, starts_BP, count)
    for row, starts in enumerate(starts_BP.tolist()):
        for place, start in enumerate(starts):
            sequence = tokens_BS[row, :start]
            for _ in range(count):
                sequence = torch.cat([sequence, model(sequence[None])[0, -1].argmax()[None]])
            assert sequence[start:].tolist() == found[row, place].tolist()


@pytest.mark.parametrize(("start", "count"), [(0, 1), (11, 1), (10, 6)])
def test_what_does_not_fit_is_refused(model: GPT, start: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot be continued"):
        continue_greedily(model, torch.zeros(1, 10, dtype=torch.int64), torch.tensor([[start]]), count)


def test_no_hook_is_left(model: GPT) -> None:
    continue_greedily(model, torch.zeros(1, 4, dtype=torch.int64), torch.tensor([[2]]), 2)
    assert not any(attention.c_attn._forward_hooks for attention in model.attentions())
