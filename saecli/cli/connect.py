"""`saecli connect`."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.connect.config:ConnectConfig",
    engine="saecli.connect.engine:run",
    result="saecli.connect.result:ConnectResult",
    summary="Choose the few upstream features that each feature of a suite may depend on.",
    examples=[
        ("saecli connect", "the embedded model of Othello: 10, 30 and 100 per feature"),
        ("saecli connect --c 30 --score gradient", "weighed by how much the loss depends on each feature"),
        ("saecli connect --c 30 --score random", "a control of the same size"),
        ("saecli connect my-model --suite my-suite --keep 10000,50000", "the strongest of the whole suite"),
        ("saecli connect --embed --logits", "tokens upstream and logits downstream too"),
        ("saecli connect my-model --suite my-suite --compat scae", "scored as the reference does"),
        ("saecli connect my-model --suite my-suite --pair 3.mlp_in:3.mlp_out", "integrated gradients through an MLP"),
    ],
)
