"""What a folder of unknown layout holds, guessed from names and a sample of the files; no torch."""
