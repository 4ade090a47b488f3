"""A program that knows exported folders only: opens each, embeds, and saves what it got.

Run in a fresh interpreter, with a JSON file of jobs: {"torchvision": its folder or null, "jobs":
[{"folder", "out", "queries": texts, "pages": files of RGB images, "resize": "pil" or
"torchvision"}]}.
"""

import json
import sys

sys.modules["colintern"] = None  # whoever imports it fails


def main(path: str) -> None:
    with open(path) as file:
        asked = json.load(file)
    let_torchvision_load(asked["torchvision"])
    for job in asked["jobs"]:
        embed(job)
    assert not [name for name in sys.modules if name.startswith("colintern.")]


def let_torchvision_load(folder: str | None) -> None:
    """PyPI's torchvision registers fakes of two operators which, beside a torch for CPUs, lack."""
    import torch

    sys.path.append(folder)
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    let_torchvision_load.kept = library  # the schemas go when it does


def embed(job: dict) -> None:
    import numpy as np
    from PIL import Image
    from sentence_transformers import MultiVectorEncoder
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    model = MultiVectorEncoder(job["folder"], device="cpu", local_files_only=True)
    if job.get("resize", "pil") == "pil":
        pil = GotOcr2ImageProcessorPil.from_pretrained(job["folder"])
        model[0].processor.image_processor = pil
    pages = [Image.open(file).convert("RGB") for file in job["pages"]]
    found = {}
    if job["queries"]:
        found["query"] = model.encode_query(job["queries"], batch_size=8)
    if pages:
        found["page"] = model.encode_document(pages, batch_size=8)
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
