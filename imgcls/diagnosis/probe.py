"""``python -m imgcls.diagnosis.probe``: start TensorFlow as a run does, and compute something with it.

It prints a JSON object. It is a process of its own because a broken installation may end it, or hang.
"""

from __future__ import annotations

import json
from dataclasses import asdict

__all__ = ["main"]


def main() -> None:
    """Print the device that a run would take, after a convolution and its gradient on it."""
    from imgcls import backend
    from imgcls.importing import claim_process

    claim_process()
    device = backend.start("auto")
    import numpy as np
    import tensorflow as tf

    with tf.GradientTape() as tape:
        kernel = tf.Variable(np.ones((3, 3, 3, 8), np.float32))
        total = tf.reduce_sum(tf.nn.conv2d(tf.ones((2, 16, 16, 3)), kernel, 1, "SAME"))
    gradient = tape.gradient(total, kernel).numpy()
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    names = [details.get("device_name", "GPU") for details in gpus]
    print(json.dumps({**asdict(device), "is_right": float(gradient[1, 1, 0, 0]) == 512.0, "gpus": names}))  # noqa: T201


if __name__ == "__main__":
    main()
