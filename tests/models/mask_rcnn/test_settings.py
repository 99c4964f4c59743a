"""Settings of another kind are refused by name, before anything computes with them."""

import pytest

from zoo.errors import UserError
from zoo.models.mask_rcnn.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("anchor_sizes", 5), ("detections", "x"), ("detections", 2.5), ("score_threshold", None), ("aligned", 1)],
)
def test_a_value_of_another_kind_is_refused(name, value):
    with pytest.raises(UserError, match=rf"`{name}` must be such as .* Received: {name}={value!r}"):
        Settings(**{name: value})


def test_lists_whole_numbers_and_none_where_they_make_sense():
    sizes = [16, 32, 64, 128, 256]
    assert Settings(anchor_sizes=sizes, score_threshold=0, crowd_covers=None).anchor_sizes == sizes
