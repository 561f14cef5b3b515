"""Random changes to training images: drawn with NumPy as a pure function, applied inside the network's graph."""

from imgcls.augmentation.drawing import DRAWING_VERSION, Draw, draw, draw_fields, mixed_labels

__all__ = ["DRAWING_VERSION", "Draw", "draw", "draw_fields", "mixed_labels"]
