"""Names and shapes of the state dicts that PyTorchVideo 0.1.5 writes for slow_r50 and i3d_r50, put down by hand."""

from collections.abc import Iterator

Shapes = dict[str, tuple[int, ...]]
DEPTHS = (3, 4, 6, 3)
# The block of the stem is number 0, i3d_r50's number 2 is a pool; frames that the first convolutions cover.
STAGES = {"slow_r50": (1, 2, 3, 4), "i3d_r50": (1, 3, 4, 5)}
FRAMES = {
    "slow_r50": ((1, 1, 1), (1, 1, 1, 1), (3, 3, 3, 3, 3, 3), (3, 3, 3)),
    "i3d_r50": ((3, 3, 3), (3, 1, 3, 1), (3, 1, 3, 1, 3, 1), (1, 3, 1)),
}
STEM_FRAMES = {"slow_r50": 1, "i3d_r50": 5}


def shapes(name: str, *, classes: int = 400) -> Shapes:
    """By name."""
    found: Shapes = {"blocks.0.conv.weight": (64, 3, STEM_FRAMES[name], 7, 7), **dict(norm("blocks.0.norm", 64))}
    inputs = 64
    for stage, (block, depth) in enumerate(zip(STAGES[name], DEPTHS, strict=True)):
        width = 64 * 2**stage
        for index in range(depth):
            at = f"blocks.{block}.res_blocks.{index}"
            if index == 0:
                found[f"{at}.branch1_conv.weight"] = (4 * width, inputs, 1, 1, 1)
                found.update(norm(f"{at}.branch1_norm", 4 * width))
            found[f"{at}.branch2.conv_a.weight"] = (width, inputs, FRAMES[name][stage][index], 1, 1)
            found[f"{at}.branch2.conv_b.weight"] = (width, width, 1, 3, 3)
            found[f"{at}.branch2.conv_c.weight"] = (4 * width, width, 1, 1, 1)
            for letter, size in (("a", width), ("b", width), ("c", 4 * width)):
                found.update(norm(f"{at}.branch2.norm_{letter}", size))
            inputs = 4 * width
    head = f"blocks.{STAGES[name][-1] + 1}.proj"
    return {**found, f"{head}.weight": (classes, 2048), f"{head}.bias": (classes,)}


def norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from ((f"{name}.{kind}", (width,)) for kind in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.num_batches_tracked", ()
