"""``saecli train lm``."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.train.lm_config:TrainLMConfig",
    engine="saecli.train.lm_run:run",
    result="saecli.train.lm_run:TrainLMResult",
    summary="Train a small GPT; it is saved as a Hugging Face GPT-2 folder.",
    examples=[
        ("saecli train lm --n-layer 2 --d-model 64 --steps 200 --out tiny", "a minute's try"),
        ("saecli train lm --template othello-mini", "the embedded model's recipe"),
        ("torchrun --nproc-per-node 2 -m saecli train lm --out tiny", "two processes share each batch"),
    ],
    parallel=True,
)
