"""Tiny Hugging Face models with random weights, norms and biases too.

With the initial gains of one and biases of zero many a mistake would not be seen.
"""

import torch

VOCAB, D, HEADS, LAYERS, CONTEXT = 37, 32, 4, 2, 16


def randomised(module):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.15)
    return module.eval()


def tiny(family):
    """A tiny Hugging Face model of a family, and the adapter for it."""
    import transformers as hf

    from zoo import gemma, gpt2, pythia

    torch.manual_seed(0)
    if family == "gpt2":
        config = hf.GPT2Config(
            vocab_size=VOCAB,
            n_positions=CONTEXT,
            n_embd=D,
            n_layer=LAYERS,
            n_head=HEADS,
            bos_token_id=0,
            eos_token_id=0,
        )
        return randomised(hf.GPT2LMHeadModel(config)), gpt2.make
    sizes = {
        "vocab_size": VOCAB,
        "hidden_size": D,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 64,
        "max_position_embeddings": CONTEXT,
    }
    if family.startswith("neox"):
        config = hf.GPTNeoXConfig(**sizes, use_parallel_residual=family == "neox")
        return randomised(hf.GPTNeoXForCausalLM(config)), pythia.make
    sizes |= {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 12}
    if family == "gemma2":
        return randomised(hf.Gemma2ForCausalLM(hf.Gemma2Config(**sizes))), gemma.make
    types = ["sliding_attention", "full_attention"]
    return randomised(hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**sizes, layer_types=types))), gemma.make
