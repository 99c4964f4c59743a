"""Image models in keras.layers and keras.ops, with the normalization injected: see zoo.build."""
