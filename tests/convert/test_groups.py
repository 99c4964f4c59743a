"""The number of groups that each rule gives."""

import pytest
from keras import layers

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.groups import GroupsPolicy


def choose(channels, positions=49, **policy):
    return GroupsPolicy(**policy).choose(layers.Layer(), path="stem/norm1", channels=channels, positions=positions)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(8, 1), (16, 1), (24, 1), (64, 1), (96, 2), (144, 3), (256, 4), (512, 8), (1024, 8), (2048, 8), (67, 1), (134, 1)],
)
def test_auto_makes_the_largest_groups_that_train_well(channels, groups):
    assert choose(channels).groups == groups


@pytest.mark.parametrize("policy", [{}, {"groups": 32}, {"groups": 8}, {"channels_per_group": 16}, {"groups": 7}])
@pytest.mark.parametrize("positions", [1, 4, None])
def test_groups_divide_and_never_leave_single_elements(policy, positions):
    for channels in range(2, 200):
        groups = choose(channels, positions, **policy).groups
        assert channels % groups == 0
        assert channels // groups * (positions or 2) > 1


@pytest.mark.parametrize(
    ("channels", "policy", "groups"),
    [
        (64, {"groups": 32}, 32),
        (32, {"groups": 32}, 32),
        (48, {"groups": 32}, 24),
        (24, {"groups": 32}, 12),
        (37, {"groups": 32}, 1),
        (64, {"channels_per_group": 16}, 4),
        (24, {"channels_per_group": 16}, 2),
        (8, {"channels_per_group": 16}, 1),
        (40, {"channels_per_group": 16}, 2),
        (64, {"groups": -1}, 64),
        (64, {"groups": lambda layer, channels: channels // 8}, 8),
    ],
)
def test_a_rule_or_the_nearest_that_fits(channels, policy, groups):
    choice = choose(channels, **policy)
    assert choice.groups == groups
    assert choice.reason


def test_single_elements_by_a_number_become_the_nearest_that_fits():
    assert choose(32, positions=1, groups=32).groups == 16


def test_single_elements_by_request_are_refused():
    with pytest.raises(ConversionError, match=r"'stem/norm1' would have a single element.*groups=32.*layer_filter"):
        choose(32, positions=1, groups=-1)
    with pytest.raises(ConversionError, match="single element"):
        choose(32, positions=1, groups=lambda layer, channels: channels)


def test_a_function_s_choice_is_checked():
    with pytest.raises(ConversionError, match=r"must divide the 32 channels of layer 'stem/norm1'.*groups=5"):
        choose(32, groups=lambda layer, channels: 5)
    with pytest.raises(ConversionError, match=r"'stem/norm1'.*positive integer.*groups='4'"):
        choose(32, groups=lambda layer, channels: "4")


@pytest.mark.parametrize("policy", [{"groups": "best"}, {"groups": 0}, {"groups": 2.5}, {"channels_per_group": 0}])
def test_bad_rules(policy):
    with pytest.raises(ValueError, match=f"`{next(iter(policy))}` must be"):
        GroupsPolicy(**policy)
