"""What the convolutions with weight standardization have in common."""

from typing import Any, NoReturn

import keras

from keras_gn.layers.arguments import valid_epsilon
from keras_gn.ops.standardize_weight import refuse_single_weights, standardize_weight
from keras_gn.typing import Tensor


class WeightStandardization(keras.layers.Layer):
    """Mixed into a Keras convolution, makes it convolve with its standardized kernel.

    `layer.kernel` and the saved weights stay as they are learned; each call standardizes the kernel in
    float32 or wider, and then casts it to the layer's compute type.
    """

    def __init__(self, *args: Any, standardize_epsilon: float = 1e-10, **kwargs: Any) -> None:
        if kwargs.get("lora_rank") is not None:
            self.enable_lora(kwargs["lora_rank"])
        super().__init__(*args, **kwargs)
        self.standardize_epsilon = valid_epsilon(standardize_epsilon, name="standardize_epsilon")

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("name") == "kernel":
            refuse_single_weights(tuple(kwargs["shape"]))
            # Statistics of a kernel that was rounded to float16 would be too coarse.
            kwargs["autocast"] = False
        return super().add_weight(*args, **kwargs)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        kernel = standardize_weight(kernel, epsilon=self.standardize_epsilon)
        return super().convolution_op(inputs, keras.ops.cast(kernel, self.compute_dtype))

    def enable_lora(self, rank: int, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(
            "LoRA is not supported with weight standardization, which would rescale what LoRA adds to the "
            f"kernel. Use keras.layers.Conv2D or Conv3D for it. Received: lora_rank={rank!r}"
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "standardize_epsilon": self.standardize_epsilon}
