"""The frozen InternVL backbone, and the heads that are trained on its features."""
