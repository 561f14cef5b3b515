"""What the PyTorch scripts for report 000's network share: the network, and which images are held out."""

import random
from pathlib import Path

from torch import nn

RESOLUTION, BATCH = 64, 128
Photo = tuple[Path, int]


def network(classes: int) -> nn.Module:
    """Return report 000's network: images (n, 3, 64, 64) to logits (n, classes)."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 14 * 14, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def parameters(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def listed(folder: Path) -> tuple[list[Photo], list[Photo], int]:
    """Return the photos to train on, the held-out 15 %, and the number of classes."""
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    photos = [(path, label) for label, each in enumerate(classes) for path in sorted(each.iterdir())]
    random.Random(0).shuffle(photos)
    held_out = round(0.15 * len(photos))
    return photos[held_out:], photos[:held_out], len(classes)
