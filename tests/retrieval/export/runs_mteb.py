"""A program that runs mteb on an exported folder, and prints what it scores as JSON.

For a fresh interpreter: torchvision's folder, the exported folder, a dataset folder, a folder for
results.
"""

import json
import sys

from tests.retrieval.export.opens import let_torchvision_load


def main(torchvision: str, exported: str, dataset: str, results: str) -> None:
    library = let_torchvision_load(torchvision)
    import mteb
    from mteb.cache import ResultCache
    from mteb.models.sentence_transformer_wrapper import MultiVectorWrapper

    from colintern.errors import UserError
    from colintern.retrieval.export.mteb_task import dataset_task, exported_model

    task = dataset_task(dataset, "PagesOfATest")
    model = exported_model(exported, "test/exported", "1")
    cache = ResultCache(results)
    found = mteb.evaluate(model, task, cache=cache, show_progress_bar=False)
    (scores,) = found.task_results[0].scores["test"]
    try:  # the same model as mteb takes it by itself
        task.evaluate(MultiVectorWrapper(model.model), "test", encode_kwargs={})
        refused = None
    except UserError as error:
        refused = str(error)
    again = dataset_task(dataset, "PagesOfATest")  # mteb lets go of what it has measured on
    again.load_data()
    corpus = again.dataset["default"]["test"]["corpus"]
    del library
    print(json.dumps({"scores": scores, "num_pages": len(corpus), "refused": refused}))


if __name__ == "__main__":
    main(*sys.argv[1:])
