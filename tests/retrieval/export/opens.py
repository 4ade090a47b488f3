"""A program that knows exported folders only: it opens each, embeds, and saves what it got.

For a fresh interpreter, with a JSON file: {"torchvision": its folder, "jobs": [{"folder", "out",
"queries": texts, "pages": files of RGB images, "batch": how many at a time, "resize": "pil" or
"torchvision"}]}.
"""

import json
import sys


def main(path):
    sys.modules["colintern"] = None  # whoever imports it fails
    with open(path) as file:
        asked = json.load(file)
    library = let_torchvision_load(asked["torchvision"])
    one_thread()
    for job in asked["jobs"]:
        embed(job)
    del library
    assert not [name for name in sys.modules if name.startswith("colintern.")]


def let_torchvision_load(folder):
    """Declare two of its operators: beside a torch for CPUs, PyPI's torchvision looks for them.

    They are there as long as what is returned.
    """
    import torch

    sys.path.append(folder)
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def one_thread():
    """How many threads share a matrix product changes its last bits: here as in the tests."""
    import torch

    torch.set_num_threads(1)


def embed(job):
    import numpy as np
    from PIL import Image
    from sentence_transformers import MultiVectorEncoder
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    model = MultiVectorEncoder(job["folder"], device="cpu", local_files_only=True)
    if job.get("resize", "pil") == "pil":
        pil = GotOcr2ImageProcessorPil.from_pretrained(job["folder"])
        model[0].processor.image_processor = pil
    found, batch = {}, job.get("batch", 1)
    if job.get("queries"):
        found["query"] = model.encode_query(job["queries"], batch_size=batch)
    if job.get("pages"):
        pages = [Image.open(file).convert("RGB") for file in job["pages"]]
        found["page"] = model.encode_document(pages, batch_size=batch)
    arrays = {
        f"{kind}{number}": np.asarray(item.cpu())
        for kind, items in found.items()
        for number, item in enumerate(items)
    }
    if len(found) == 2:
        arrays["scores"] = np.asarray(model.similarity(found["query"], found["page"]).cpu())
    np.savez(job["out"], **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
