"""Report 000's network in tuned PyTorch: images in memory, channels last, bfloat16, memory kept by the process.

python benchmarks/hand_written/torch_tuned.py DATA_FOLDER [--augment] [--epochs 5]

It does less than the others: no validation between the epochs, one measurement at the end.
"""

import argparse
import ctypes
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch_report_000 import BATCH, RESOLUTION, Photo, listed, network, parameters

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt(3)


def keep_memory() -> None:
    """Keep freed memory for the next step instead of asking the kernel for fresh pages."""
    if sys.platform == "linux":
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(TRIM_THRESHOLD, -1)
        library.mallopt(MMAP_MAX, 0)


def pixels(photo: Photo) -> np.ndarray:
    with Image.open(photo[0]) as image:
        image.draft("RGB", (RESOLUTION, RESOLUTION))  # a JPEG is decoded at half size and less, where that is enough
        return np.asarray(image.convert("RGB").resize((RESOLUTION, RESOLUTION), Image.Resampling.BILINEAR))


def loaded(photos: list[Photo]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return uint8 (n, 3, 64, 64), channels last in memory, and labels (n,)."""
    with ThreadPoolExecutor(2) as pool:
        images = np.stack(list(pool.map(pixels, photos)))
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.tensor([label for _, label in photos])


def changed(images: torch.Tensor) -> torch.Tensor:
    """Turn, zoom, shift and flip each image by chance, in one resampling."""
    n = len(images)
    angle = (torch.rand(n) * 2 - 1) * math.radians(20)
    zoom = 0.8 + 0.4 * torch.rand(2, n)
    flip = torch.randint(0, 2, (n,)) * 2 - 1
    shift = (torch.rand(2, n) * 2 - 1) * 0.1 * 2  # the grid runs from -1 to 1
    first = torch.stack([flip * zoom[0] * angle.cos(), -zoom[1] * angle.sin(), shift[0]], 1)
    second = torch.stack([flip * zoom[0] * angle.sin(), zoom[1] * angle.cos(), shift[1]], 1)
    grid = nn.functional.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()
    keep_memory()
    photos, held_out, classes = listed(asked.folder)
    images, labels = loaded(photos)
    model = network(classes).to(memory_format=torch.channels_last)
    optimizer, loss = torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss()
    seconds = []
    for _ in range(asked.epochs):
        begun = time.perf_counter()
        for rows in torch.randperm(len(images)).split(BATCH):
            batch = images[rows].float() / 255
            batch = changed(batch) if asked.augment else batch
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(batch.contiguous(memory_format=torch.channels_last))
            loss(logits.float(), labels[rows]).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - begun)
    test_images, test_labels = loaded(held_out)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        hits = model(test_images.float() / 255).argmax(1) == test_labels
    accuracy = float(hits.float().mean())
    print(json.dumps({"epoch_seconds": seconds, "accuracy": accuracy, "params": parameters(model)}))


if __name__ == "__main__":
    main()
