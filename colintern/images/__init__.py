"""Pictures as pixels: decoding within bounds, colours, and the hash of what a page shows."""
