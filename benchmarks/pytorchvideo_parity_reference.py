"""The reference of benchmarks/pytorchvideo_parity.py: PyTorchVideo's own models.

    PYTHONPATH=PACKAGES /usr/bin/python3 benchmarks/pytorchvideo_parity_reference.py FOLDER --model slow_r50

Runs in Debian's Python (package python3-torch) with PyTorchVideo in PACKAGES, and imports nothing of the packages here.
Builds the model for 400 classes with random weights and random moving statistics, near those that a clip has. Writes
FOLDER/weights.npz, its state dict, and FOLDER/<size>.npz for each size: the clip, what comes out of stages 2 to 5,
channels last, and for the first size, that of its published configuration, the logits.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from pytorchvideo.models import hub
from random_norms import Draw, randomize_norm
from torch import Tensor, nn

MODELS = ("slow_r50", "i3d_r50")


def build(name: str, draw: Draw) -> tuple[nn.Module, list[object]]:
    """The model, and the hooks that fit its statistics in the next forward pass."""
    model = getattr(hub, name)(pretrained=False).eval()
    hooks = []
    for path, module in model.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            hooks += randomize_norm(module, draw, last=path.endswith("norm_c"))
        if isinstance(module, nn.Conv3d):
            bound = (6 / module.weight[0].numel()) ** 0.5
            module.weight.copy_(draw.uniform(module.weight.shape, -bound, bound))
        if isinstance(module, nn.Linear):
            module.weight.copy_(draw.uniform(module.weight.shape, -0.1, 0.1))
            module.bias.copy_(draw.uniform(module.bias.shape, -1, 1))
    return model, hooks


def outputs_of(model: nn.Module, clip: Tensor, *, with_logits: bool) -> dict[str, Tensor]:
    """The features by name, and the logits."""
    found, x = {}, clip
    for block in model.blocks[:-1]:
        x = block(x)
        if hasattr(block, "res_blocks"):
            found[f"c{len(found) + 2}"] = x.permute(0, 2, 3, 4, 1)
    return {**found, "logits": model.blocks[-1](x)} if with_logits else found


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--sizes", nargs="+", default=["8x224x224"], help="frames x height x width")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = Draw(arguments.seed)
    model, hooks = build(arguments.model, draw)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for size in arguments.sizes:
        clip = draw.uniform((1, 3, *map(int, size.split("x"))), -2, 2)
        found = outputs_of(model, clip, with_logits=size == arguments.sizes[0])
        outputs = {"clip": clip.permute(0, 2, 3, 4, 1), **found}
        np.savez(arguments.folder / f"{size}.npz", **{name: x.numpy() for name, x in outputs.items()})
        while hooks:
            hooks.pop().remove()
    np.savez(arguments.folder / "weights.npz", **{name: x.numpy() for name, x in model.state_dict().items()})


if __name__ == "__main__":
    main()
