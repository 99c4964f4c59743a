"""What the walk over a model finds, and by which paths."""

import functools
from dataclasses import dataclass

import keras
import pytest
from keras import layers

from keras_gn.convert.tree import find_layers

BN = layers.BatchNormalization


def found(model):
    return list(find_layers(model, BN))


class Block(layers.Layer):
    def __init__(self):
        super().__init__(name="block")
        self.first = BN()
        self._hidden = BN()
        self.stack = [BN(), {"key": BN()}]


@dataclass
class Plain:
    norm: BN


class Slotted:
    __slots__ = ("norm",)

    def __init__(self):
        self.norm = BN()


def closed_over():
    norm = BN()
    return lambda x: norm(x)


HIDING_PLACES = {
    "tuple": (lambda: (1, BN()), "[1]"),
    "dict": (lambda: {"a": BN()}, "['a']"),
    "plain object": (lambda: Plain(BN()), ".norm"),
    "slots": (Slotted, ".norm"),
    "partial": (lambda: functools.partial(max, BN()), ".args[0]"),
    "closure": (closed_over, ".<closure norm>"),
    "default": (lambda: lambda x, norm=BN(): norm(x), ".__defaults__[0]"),  # noqa: B008 (one for all calls is the point)
    "bound method": (lambda: Plain(BN()).__eq__, ".__self__.norm"),
}


@pytest.mark.parametrize(("make", "step"), HIDING_PLACES.values(), ids=HIDING_PLACES)
def test_finds_what_an_attribute_hides(make, step):
    layer = layers.Layer(name="layer")
    object.__setattr__(layer, "place", make())
    assert found(keras.Sequential([layer])) == [f"layer.place{step}"]


def test_attributes_are_named_as_the_user_named_them():
    model = keras.Sequential([Block()])
    assert found(model) == ["block.first", "block.stack[0]", "block.stack[1]['key']", "block._hidden"]


def test_nested_models_wrappers_and_order():
    image = keras.Input((4, 8))
    inner = keras.Sequential([keras.Input((4, 8)), BN(name="a"), layers.TimeDistributed(BN(), name="b")], name="inner")
    x = BN(name="before")(image)
    outer = keras.Model(image, BN(name="after")(inner(x)), name="outer")
    model = keras.Sequential([outer])
    assert found(model) == ["outer/before", "outer/inner/a", "outer/inner/b.layer", "outer/after"]


def test_a_shared_layer_is_found_once():
    shared = BN(name="shared")
    image = keras.Input((4,))
    one = keras.Sequential([shared], name="one")
    model = keras.Model(image, one(shared(image)))
    assert len(found(model)) == 1


def test_leaves_other_models_and_compilation_alone():
    image = keras.Input((4,))
    features = layers.Dense(3, name="features")(BN(name="upstream")(image))
    head = keras.Model(features, layers.Dense(2, name="head")(features))
    assert found(head) == []
    loss_network = BN()
    head.compile("sgd", lambda y, p: keras.ops.mean(loss_network(p) - y))
    assert found(head) == []


def test_deep_nesting_does_not_exhaust_the_stack():
    item = BN()
    for _ in range(5000):
        item = [item]
    layer = layers.Layer(name="layer")
    object.__setattr__(layer, "place", item)
    assert len(found(keras.Sequential([layer]))) == 1
