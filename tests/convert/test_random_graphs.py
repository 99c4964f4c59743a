"""Nested graphs built at random convert, and nothing but their BatchNormalization changes."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.layers import Add, BatchNormalization, Concatenate, Conv2D, DepthwiseConv2D, ReLU

from convert.conftest import all_layers, arrays, identical, weights_of
from convert.models import give_statistics, images
from convert.reachable import reachable
from keras_gn.convert import conversion_report, convert_bn_to_gn
from keras_gn.layers import GroupNormalization

_SIZE = (6, 6)
_CHANNELS = (4, 6, 8)
_LEAVES = ("norm", "conv", "depthwise", "relu", "plus one", "add", "concatenate", "again")


def steps(depth):
    """Lists of (what to do, a number that picks among tensors, layers and channels, steps of a nested model)."""
    leaf = st.tuples(st.sampled_from(_LEAVES), st.integers(0, 100), st.none())
    if depth == 0:
        return st.lists(leaf, min_size=1, max_size=4)
    nested = st.tuples(st.sampled_from(["functional", "sequential"]), st.integers(0, 100), steps(depth - 1))
    return st.lists(st.one_of(leaf, nested), min_size=1, max_size=5)


class Graph:
    """Builds one level of a graph from its steps: each takes tensors made so far, and makes another."""

    def __init__(self, channels):
        self.inputs = keras.Input((*_SIZE, channels))
        self.tensors = [self.inputs]
        self.calls = []  # layers that may be called again, with the shape that they take

    def model(self, plan):
        for what, number, inner in plan:
            self.tensors.append(self.step(what, number, self.tensors[number % len(self.tensors)], inner))
        ends = [keras.ops.mean(tensor, axis=(1, 2)) for tensor in self.tensors[1:]]
        return keras.Model(self.inputs, [self.tensors[-1], *ends])

    def step(self, what, number, x, inner):
        channels = x.shape[-1]
        alike = [tensor for tensor in self.tensors if tensor.shape == x.shape]
        if what == "plus one":
            return x + 1
        if what == "add":
            return Add()([x, alike[0]])
        if what == "concatenate":
            return Concatenate()([x, self.tensors[0]]) if channels < 16 else x * 2
        if what == "again":
            fitting = [layer for layer, shape in self.calls if shape == x.shape]
            return fitting[number % len(fitting)](x) if fitting else keras.ops.tanh(x)
        layer = self.layer(what, number, channels, inner)
        self.calls.append((layer, x.shape))
        return layer(x)

    def layer(self, what, number, channels, inner):
        if what == "norm":
            return BatchNormalization(center=number % 3 > 0, scale=number % 5 > 0, trainable=number % 7 > 0)
        if what == "conv":
            return Conv2D(_CHANNELS[number % 3], 3, padding="same", bias_initializer="random_normal")
        if what == "depthwise":
            return DepthwiseConv2D(3, padding="same")
        if what == "relu":
            return ReLU()
        nested = Graph(channels).model(inner)
        nested = keras.Model(nested.input, nested.output[0])
        return nested if what == "functional" else keras.Sequential([keras.Input((*_SIZE, channels)), nested, ReLU()])


@given(plan=steps(depth=3))
@settings(max_examples=40, deadline=None)
def test_everything_else_is_identical(plan):
    keras.utils.set_random_seed(0)
    # One norm at least: a model without any is refused.
    model, inputs = Graph(4).model([("norm", 1, None), *plan]), images(*_SIZE, 4)
    give_statistics(model, inputs)
    layers, outputs, weights = all_layers(model), arrays(model(inputs)), weights_of(model)
    converted = convert_bn_to_gn(model)
    new_layers = all_layers(converted)

    assert reachable(converted, BatchNormalization) == []
    assert len(conversion_report(converted)) == len({id(one) for one in layers if isinstance(one, BatchNormalization)})
    ids, new_ids = [id(layer) for layer in layers], [id(layer) for layer in new_layers]
    assert [ids.index(one) for one in ids] == [new_ids.index(one) for one in new_ids]
    for old, new in zip(layers, new_layers, strict=True):
        is_norm = isinstance(old, BatchNormalization)
        assert type(new) is (GroupNormalization if is_norm else type(old))
        assert (new.name, new.trainable) == (old.name, old.trainable)
        if not is_norm:
            assert identical(_own_weights(old), _own_weights(new))
    assert identical(weights_of(model), weights)
    assert all(np.array_equal(one, other) for one, other in zip(arrays(model(inputs)), outputs, strict=True))
    new_outputs = arrays(converted(inputs))
    assert [array.shape for array in new_outputs] == [array.shape for array in outputs]
    assert all(np.isfinite(array).all() for array in new_outputs)


def _own_weights(layer):
    return [
        (variable.name, np.asarray(variable))
        for variable in layer._trainable_variables + layer._non_trainable_variables
    ]
