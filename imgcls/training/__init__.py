"""Training: sampling, feed, losses, optimizers, schedules, and the loop over the epochs."""
