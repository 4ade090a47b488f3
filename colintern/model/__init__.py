"""The frozen InternVL backbone, and the heads that learn on top of it."""
