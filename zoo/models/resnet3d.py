"""3D ResNets for video, with any norm: clips in, features out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import keras
from keras import layers

from zoo.errors import UserError
from zoo.models.blocks import Size, conv, mean_pool_logits, relu, stem_conv, stem_is_large, stem_pool
from zoo.models.norms import Norm
from zoo.models.resnet import BASIC, BOTTLENECK, STEM_FILTERS, Block, BlockConv, ResNetSpec, repeated, resnet_stage


@dataclass(frozen=True, kw_only=True)
class ResNet3DSpec(ResNetSpec):
    """A residual network for clips.

    Args:
        stem_frames: How many frames the stem's kernel covers.
        stem_filters: Of the stem's first convolution where a second one, over three frames, follows; 0: there is one.
        pool_frames: How many frames the stem's max pool covers, see `stem_pool`; 0: there is none.
        halves_c2: Whether a max pool halves the number of frames between stages 2 and 3.
    """

    stem_frames: int
    stem_filters: int = 0
    pool_frames: int = 1
    halves_c2: bool = False


def over_time(block: Block, *frames: int) -> Block:
    """A block for images with kernels that cover so many frames."""
    return tuple(replace(part, kernel=(time, *_sides(part.kernel))) for part, time in zip(block, frames, strict=True))


def _sides(kernel: Size) -> tuple[int, ...]:
    return (kernel, kernel) if isinstance(kernel, int) else kernel


# A bottleneck whose first convolution sees one frame, or three.
ONE = over_time(BOTTLENECK, 1, 1, 1)
THREE = over_time(BOTTLENECK, 3, 1, 1)
BASIC_3D = over_time(BASIC, 3, 3)
FACTORIZED = (
    BlockConv((1, 3, 3), strided=True, factorized=True),
    BlockConv((3, 1, 1), strided=True),
    BlockConv((1, 3, 3), factorized=True),
    BlockConv((3, 1, 1)),
)
SPECS: Mapping[str, ResNet3DSpec] = {
    # Wang et al., arXiv 1711.07971, table 1 and section 4.1, as the Group Normalization paper trains it: a kernel of
    # three frames in every other block.
    "i3d_resnet50": ResNet3DSpec(
        (3 * (THREE,), 2 * (THREE, ONE), 3 * (THREE, ONE), (ONE, THREE, ONE)),
        strides=(1, 2, 2),
        stem_frames=5,
        halves_c2=True,
    ),
    # Feichtenhofer et al., arXiv 1812.03982, table 1, the slow pathway alone.
    "slow_resnet50": ResNet3DSpec(
        (3 * (ONE,), 4 * (ONE,), 6 * (THREE,), 3 * (THREE,)), strides=(1, 2, 2), stem_frames=1
    ),
    # Hara et al., arXiv 1711.09577, with projections where shapes change.
    "resnet3d18": ResNet3DSpec(repeated(BASIC_3D, 2, 2, 2, 2), stem_frames=7, pool_frames=3),
    "resnet3d34": ResNet3DSpec(repeated(BASIC_3D, 3, 4, 6, 3), stem_frames=7, pool_frames=3),
    # Tran et al., arXiv 1711.11248, table 1 and section 3.5; the stem's 45 filters are those of its published code.
    "r2plus1d_18": ResNet3DSpec(repeated(FACTORIZED, 2, 2, 2, 2), stem_frames=1, stem_filters=45, pool_frames=0),
}


def resnet3d_features(
    clip: keras.KerasTensor, *, spec: ResNet3DSpec, norm: Norm, stem: str = "auto", zero_init_residual: bool = True
) -> dict[str, keras.KerasTensor]:
    """The features c2 to c5 of `clip`.

    | model | frames of c2, c3, c4, c5 | height and width of cn |
    |---|---|---|
    | i3d_resnet50 | T, T / 2, T / 2, T / 2 | 2^n times smaller |
    | slow_resnet50 | T, T, T, T | 2^n times smaller |
    | resnet3d18, resnet3d34 | T / 2, T / 4, T / 8, T / 16 | 2^n times smaller |
    | r2plus1d_18 | T, T / 2, T / 4, T / 8 | 2^(n - 1) times smaller |

    all rounded up, with the large stem; the small one (3x3 with stride 1, no max pool) is that of `resnet_features`.
    A norm's statistics are over the frames, too. The layers are called as those of the ResNets for images, whose
    weights a model takes, see `zoo.models.inflate`.

    Args:
        clip: [B, T, H, W, C], standardized.
        spec: The variant, from `SPECS`.
        norm: Makes the normalization layers. Where its groups don't divide the filters between the two halves of a
            factorized convolution (r2plus1d_18), there are a few more of them.
        stem: "large", "small", or "auto": small if the short side is below 64 pixels.
        zero_init_residual: See `resnet_features`.

    Returns:
        {"c2": [B, T2, H2, W2, C2], "c3", "c4", "c5"}; C2 to C5 are 256, 512, 1024, 2048 for the models with 50 layers,
        a quarter of these for the others.

    Raises:
        UserError: If `stem` is unknown or `norm` does not fit.
    """
    x = _stem(clip, spec=spec, norm=norm, large=stem_is_large(clip, stem))
    features = {}
    for stage in (2, 3, 4, 5):
        if stage == 3 and spec.halves_c2:
            # A frame without a partner stays, so that a clip of one frame is a clip, too.
            x = layers.MaxPooling3D((2, 1, 1), padding="same", name="stage2_pool")(x)
        x = resnet_stage(x, stage, spec=spec, norm=norm, zero_init_residual=zero_init_residual)
        features[f"c{stage}"] = x
    return features


def _stem(clip: keras.KerasTensor, *, spec: ResNet3DSpec, norm: Norm, large: bool) -> keras.KerasTensor:
    filters = STEM_FILTERS
    if spec.stem_filters:
        filters = norm.channels(spec.stem_filters, name="stem_norm")
    x = stem_conv(clip, filters=filters, large=large, norm=norm, frames=(spec.stem_frames,))
    x = relu(norm(x, name="stem_norm"), name="stem_relu")
    if spec.stem_filters:
        x = conv(x, STEM_FILTERS, (3, 1, 1), norm=norm, name="stem_conv2")
        x = relu(norm(x, name="stem_norm2"), name="stem_relu2")
    return stem_pool(x, frames=(spec.pool_frames,)) if large and spec.pool_frames else x


def resnet3d_logits(
    features: Mapping[str, keras.KerasTensor], num_classes: int, *, dropout: float = 0.5
) -> keras.KerasTensor:
    """Mean of c5 over time and space, dropout, and a dense layer whose weights start at N(0, 0.01).

    Args:
        features: Of `resnet3d_features`.
        num_classes: K.
        dropout: Share of the means that training leaves out (arXiv 1711.07971, section 4.2).

    Raises:
        UserError: If `dropout` is out of its range.
    """
    if not 0 <= dropout < 1:
        raise UserError(f"`dropout` must be a number of at least 0 and below 1. Received: dropout={dropout!r}")
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    return mean_pool_logits(features["c5"], num_classes, kernel_initializer=initializer, dropout=dropout)
