"""What files of a measurement are called."""

import pytest

from saecli.validate.files import short_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["run/suite-k8", "run/suite-k16"], ["suite-k8", "suite-k16"]),
        (["a/suite", "b/suite"], ["a_suite", "b_suite"]),
        (["../x/s", "/tmp/y/s", "hf:org/name@main"], ["x_s", "y_s", "name_main"]),
        (["./s", "../s"], ["1_s", "2_s"]),
        (["."], ["suite"]),
    ],
)
def test_short_names(names, expected):
    assert short_names(names) == expected
