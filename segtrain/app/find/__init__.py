"""Finds, within a budget of time, which augmentation is best for some images, how sure that is, and the model."""
