"""Names and shapes of the state dicts that torchvision 0.14 writes for a Mask R-CNN, put down by hand."""

from collections.abc import Iterator

Shapes = dict[str, tuple[int, ...]]
EXPANSIONS = {"resnet18": 1, "resnet50": 4}
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


def shapes(
    backbone: str,
    *,
    classes: int,
    channels: int = 256,
    units: int = 1024,
    batch_norm: bool = True,
    norms_everywhere: bool = False,
    masks: bool = True,
) -> Shapes:
    """By name; `classes` with the background. `norms_everywhere`: in the pyramid and the heads, too."""
    c = channels
    found: Shapes = dict(backbone_shapes(backbone, batch_norm=batch_norm))
    width = 64 * EXPANSIONS[backbone]
    for n in range(4):
        found.update(conv(f"backbone.fpn.inner_blocks.{n}", width * 2**n, c, 1, norm=norms_everywhere))
        found.update(conv(f"backbone.fpn.layer_blocks.{n}", c, c, 3, norm=norms_everywhere))
    found.update(conv("rpn.head.conv.0", c, c, 3, norm=False))
    found.update(weight_and_bias("rpn.head.cls_logits", (3, c, 1, 1)))
    found.update(weight_and_bias("rpn.head.bbox_pred", (12, c, 1, 1)))
    if norms_everywhere:
        for n in range(4):
            found.update(conv(f"roi_heads.box_head.{n}", c, c, 3, norm=True))
        found.update(weight_and_bias("roi_heads.box_head.5", (units, 49 * c)))
    else:
        found.update(weight_and_bias("roi_heads.box_head.fc6", (units, 49 * c)))
        found.update(weight_and_bias("roi_heads.box_head.fc7", (units, units)))
    found.update(weight_and_bias("roi_heads.box_predictor.cls_score", (classes, units)))
    found.update(weight_and_bias("roi_heads.box_predictor.bbox_pred", (4 * classes, units)))
    if masks:
        for n in range(4):
            found.update(conv(f"roi_heads.mask_head.{n}", c, c, 3, norm=norms_everywhere))
        found.update(weight_and_bias("roi_heads.mask_predictor.conv5_mask", (c, c, 2, 2)))
        found.update(weight_and_bias("roi_heads.mask_predictor.mask_fcn_logits", (classes, c, 1, 1)))
    return found


def backbone_shapes(backbone: str, *, batch_norm: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "backbone.body.conv1.weight", (64, 3, 7, 7)
    yield from norm("backbone.body.bn1", 64, batch_norm=batch_norm)
    expansion, inputs = EXPANSIONS[backbone], 64
    for stage, depth in enumerate(DEPTHS[backbone], start=1):
        width = 32 * 2**stage
        for block in range(depth):
            name = f"backbone.body.layer{stage}.{block}"
            convs = [(width, inputs, 3), (width, width, 3)]
            if expansion > 1:
                convs = [(width, inputs, 1), (width, width, 3), (width * expansion, width, 1)]
            for n, (out, into, kernel) in enumerate(convs, start=1):
                yield f"{name}.conv{n}.weight", (out, into, kernel, kernel)
                yield from norm(f"{name}.bn{n}", out, batch_norm=batch_norm)
            if block == 0 and inputs != width * expansion:
                yield f"{name}.downsample.0.weight", (width * expansion, inputs, 1, 1)
                yield from norm(f"{name}.downsample.1", width * expansion, batch_norm=batch_norm)
            inputs = width * expansion


def norm(name: str, width: int, *, batch_norm: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    kinds = ("weight", "bias", "running_mean", "running_var") if batch_norm else ("weight", "bias")
    yield from ((f"{name}.{kind}", (width,)) for kind in kinds)


def conv(name: str, inputs: int, outputs: int, kernel: int, *, norm: bool) -> Shapes:
    """A convolution with bias, or without one and with Group Normalization."""
    weight = {f"{name}.0.weight": (outputs, inputs, kernel, kernel)}
    if norm:
        return weight | weight_and_bias(f"{name}.1", (outputs,))
    return weight | {f"{name}.0.bias": (outputs,)}


def weight_and_bias(name: str, weight: tuple[int, ...]) -> Shapes:
    """A transposed convolution's weight has the inputs first, but all have as many outputs as inputs."""
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}
