"""`saecli finetune`."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.finetune.config:FinetuneConfig",
    engine="saecli.finetune.engine:run",
    result="saecli.finetune.result:FinetuneResult",
    summary="Train a suite of dictionaries through its sparse connections.",
    examples=[
        ("saecli finetune --loss kl --steps 200 --lr 1e-3", "the embedded connected suite, further"),
        ("saecli finetune othello-mini-transcoders --connections connections.safetensors --c 10,30,100",
         "three suites, of as many connections of each feature"),
        ("saecli finetune SUITE --connections FILE --loss kl,fvu=0.1 --steps 3000", "a mixture of losses"),
    ],
    parallel=True,
)  # fmt: skip
