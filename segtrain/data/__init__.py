"""Makes batches of files: datasets read samples, and a split says which sample serves for what."""
