"""From files to batches: datasets read samples, a split says which sample serves for what."""
