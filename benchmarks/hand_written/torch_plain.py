"""Report 000's network in plain PyTorch: a ``DataLoader`` with two workers that decode with Pillow, float32.

python benchmarks/hand_written/torch_plain.py DATA_FOLDER [--augment] [--epochs 5]
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torch_report_000 import BATCH, RESOLUTION, Photo, listed, network, parameters


class Photos(Dataset[tuple[torch.Tensor, int]]):
    """Photos as float32 (3, 64, 64) in 0..1, each with its label."""

    def __init__(self, photos: list[Photo], *, augment: bool) -> None:
        self.photos = photos
        self.augment = augment

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.photos[index]
        with Image.open(path) as photo:
            image = photo.convert("RGB").resize((RESOLUTION, RESOLUTION), Image.Resampling.BILINEAR)
        if self.augment:
            image = changed(image)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255, label


def changed(image: Image.Image) -> Image.Image:
    """Turn, zoom, shift and flip an image by chance."""
    angle = math.radians(random.uniform(-20, 20))
    across, down = random.uniform(0.8, 1.2), random.uniform(0.8, 1.2)
    flip = random.choice((-1, 1))
    a, b = flip * across * math.cos(angle), -down * math.sin(angle)
    d, e = flip * across * math.sin(angle), down * math.cos(angle)
    center = (RESOLUTION - 1) / 2
    x, y = (center + RESOLUTION * random.uniform(-0.1, 0.1) for _ in range(2))
    matrix = (a, b, x - a * center - b * center, d, e, y - d * center - e * center)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def measured(model: nn.Module, batches: DataLoader[tuple[torch.Tensor, int]]) -> float:
    """Return the accuracy."""
    model.eval()
    with torch.no_grad():
        hits = [(model(images).argmax(1) == labels) for images, labels in batches]
    return float(torch.cat(hits).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()
    photos, held_out, classes = listed(asked.folder)
    train = DataLoader(Photos(photos, augment=asked.augment), BATCH, shuffle=True, num_workers=2)
    test = DataLoader(Photos(held_out, augment=False), BATCH, num_workers=2)
    model, loss = network(classes), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    seconds, accuracy = [], 0.0
    for _ in range(asked.epochs):
        begun = time.perf_counter()
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            loss(model(images), labels).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - begun)
        accuracy = measured(model, test)
    print(json.dumps({"epoch_seconds": seconds, "accuracy": accuracy, "params": parameters(model)}))


if __name__ == "__main__":
    main()
