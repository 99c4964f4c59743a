"""The reference of benchmarks/torchvision_parity.py: torchvision's own Mask R-CNN.

    /usr/bin/python3 benchmarks/torchvision_parity_reference.py FOLDER --variant frozen_bn --sizes 224x320 333x251

Runs in Debian's Python (packages python3-torch and python3-torchvision, 0.14) and imports nothing of the packages here.
Builds the model with random weights, fitted to an image so that activations stay sane, proposals differ, detections are
surer than the threshold and masks aren't saturated. Writes FOLDER/weights.npz, torchvision's state dict, and
FOLDER/<size>.npz: the image as the network sees it, what comes out of every stage, objects and the losses that they
give, in torchvision's conventions but for the maps, which are channels last.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from random_norms import Draw, randomize_norm
from torch import Tensor, nn
from torchvision.models.detection import _utils as detection
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.resnet import resnet50
from torchvision.ops.misc import FrozenBatchNorm2d

VARIANTS = ("frozen_bn", "gn_backbone", "gn")
# The background and COCO's category ids up to 90, as in the published weights.
CLASSES = 91
# Fewer than usual, for Debian's torch multiplies matrices slowly.
FEWER = {"rpn_post_nms_top_n_test": 100, "rpn_post_nms_top_n_train": 100, "box_detections_per_img": 20}
# So many random anchors and regions are in a loss that they are all of them.
EVERY = {
    **{"rpn_batch_size_per_image": 10**6, "rpn_positive_fraction": 1.0},
    **{"box_batch_size_per_image": 10**6, "box_positive_fraction": 1.0},
}
OBJECTS = 4
# Standard deviations, over the image of the fit, of what the output layers say.
SPREAD = {
    "rpn.head.cls_logits": 0.7,
    "rpn.head.bbox_pred": 0.3,
    "roi_heads.box_predictor.cls_score": 1.5,
    "roi_heads.box_predictor.bbox_pred": 0.8,
    "roi_heads.mask_predictor.mask_fcn_logits": 1.0,
}


def build(variant: str) -> MaskRCNN:
    """The model with torchvision's initial weights; `gn` has the norm in the pyramid and the heads, too."""
    norm = FrozenBatchNorm2d if variant == "frozen_bn" else partial(nn.GroupNorm, 32)
    backbone = resnet50(weights=None, norm_layer=norm)
    heads = {}
    if variant == "gn":
        heads["box_head"] = FastRCNNConvFCHead((256, 7, 7), [256] * 4, [1024], norm_layer=norm)
        heads["mask_head"] = MaskRCNNHeads(256, [256] * 4, 1, norm_layer=norm)
    pyramid = _resnet_fpn_extractor(backbone, trainable_layers=5, norm_layer=norm if heads else None)
    model = MaskRCNN(pyramid, CLASSES, **FEWER, **EVERY, **heads)
    # As torchvision does when it loads published weights.
    detection.overwrite_eps(model, 0.0)
    return model.eval()


class Scene(Draw):
    """Random images and objects of one seed."""

    def image(self, height: int, width: int) -> Tensor:
        """[3, height, width] in [0, 1]: coarse and fine blobs of colour with noise on top."""
        layers = [
            share * nn.functional.interpolate(self.uniform((1, 3, *cells), 0, 1), (height, width), mode="bilinear")
            for cells, share in (((5, 5), 0.5), ((20, 20), 0.3), ((height, width), 0.2))
        ]
        return sum(layers)[0]

    def objects(self, height: int, width: int) -> dict[str, Tensor]:
        """Boxes of a tenth to half of each side, with a class and an ellipse."""
        size = torch.tensor([width, height])
        sides = size * self.uniform((OBJECTS, 2), 0.1, 0.5)
        corner = (size - sides) * self.uniform((OBJECTS, 2), 0, 1)
        centre, radii = (corner + sides / 2)[:, :, None, None], (sides / 2)[:, :, None, None]
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        ellipses = (((torch.stack([x, y])[None] - centre) / radii) ** 2).sum(1) <= 1
        labels = self.uniform((OBJECTS,), 1, CLASSES).to(torch.int64)
        return {"boxes": torch.cat([corner, corner + sides], 1), "labels": labels, "masks": ellipses.to(torch.uint8)}


@torch.no_grad()
def randomize(model: MaskRCNN, image: Tensor, draw: Draw) -> None:
    """Draws the norms' weights anew; fits statistics and output layers to `image`, then disturbs them."""

    def fit_outputs(module: nn.Module, inputs: tuple[Tensor], output: Tensor, *, spread: float) -> Tensor | None:
        if module in fitted:
            return None
        fitted.add(module)
        deviation, mean = torch.std_mean(output, [axis for axis in range(output.dim()) if axis != 1])
        scale = spread / (deviation + 1e-6)
        module.weight.mul_(scale.reshape(-1, *[1] * (module.weight.dim() - 1)))
        module.bias.copy_((module.bias - mean) * scale + spread * draw.uniform(scale.shape, -0.3, 0.3))
        return module(*inputs)

    fitted: set[nn.Module] = set()
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, FrozenBatchNorm2d | nn.GroupNorm):
            hooks += randomize_norm(module, draw, last=name.endswith(".bn3"))
        if name in SPREAD:
            hooks.append(module.register_forward_hook(partial(fit_outputs, spread=SPREAD[name])))
    detections_of(model, transform(model, image))
    for hook in hooks:
        hook.remove()


def transform(model: MaskRCNN, image: Tensor) -> ImageList:
    """The image standardized and padded to multiples of 32; min_size and max_size keep it from being resized."""
    height, width = image.shape[-2:]
    model.transform.min_size, model.transform.max_size = (min(height, width),), max(height, width)
    return model.transform([image])[0]


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def detections_of(model: MaskRCNN, images: ImageList) -> dict[str, Tensor]:
    """What each stage says about an image."""
    features = model.backbone(images.tensors)
    anchors = model.rpn.anchor_generator(images, list(features.values()))
    proposals, _ = model.rpn(images, features)
    predicted: list[tuple[Tensor, Tensor]] = []
    keep = model.roi_heads.box_predictor.register_forward_hook(lambda module, inputs, output: predicted.append(output))
    found = model.roi_heads(features, proposals, images.image_sizes)[0][0]
    keep.remove()
    pasted = paste_masks_in_image(found["masks"], found["boxes"], images.image_sizes[0])
    return {
        **{f"p{n}": channels_last(x) for n, x in enumerate(features.values(), start=2)},
        "anchors": anchors[0],
        "proposals": proposals[0],
        "class_logits": predicted[0][0],
        **{name: found[name] for name in ("boxes", "labels", "scores")},
        "masks": found["masks"][:, 0],
        "pasted": pasted[:, 0],
    }


def losses_of(model: MaskRCNN, images: ImageList, objects: dict[str, Tensor]) -> dict[str, Tensor]:
    """The losses of training, with statistics and weights as they are."""
    model.rpn.train(), model.roi_heads.train()
    features = model.backbone(images.tensors)
    proposals, losses = model.rpn(images, features, [objects])
    losses.update(model.roi_heads(features, proposals, images.image_sizes, [objects])[1])
    model.eval()
    return losses


def parse_size(text: str) -> tuple[int, int]:
    """224x320 -> (224, 320): height, width."""
    height, width = text.split("x")
    return int(height), int(width)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", choices=VARIANTS, default=VARIANTS[0])
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=[(224, 320)])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    draw = Scene(arguments.seed)
    model = build(arguments.variant)
    randomize(model, draw.image(*arguments.sizes[0]), draw)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.folder / "weights.npz", **{name: x.numpy() for name, x in model.state_dict().items()})
    for size in arguments.sizes:
        images, objects = transform(model, draw.image(*size)), draw.objects(*size)
        outputs = {
            "image": channels_last(images.tensors),
            "image_size": torch.tensor(images.image_sizes),
            **detections_of(model, images),
            **{f"object_{name}": x for name, x in objects.items()},
            **losses_of(model, images, objects),
        }
        np.savez(arguments.folder / "{}x{}.npz".format(*size), **{name: x.numpy() for name, x in outputs.items()})


if __name__ == "__main__":
    main()
