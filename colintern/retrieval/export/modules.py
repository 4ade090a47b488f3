"""The files that say which modules sentence-transformers runs, in which order, with what."""

from collections.abc import Mapping, Sequence
from typing import Any

from colintern.model.heads import Heads
from colintern.retrieval.export import dense
from colintern.retrieval.export.content import Content, document
from colintern.retrieval.export.dense import TOKENS, Dense
from colintern.retrieval.export.template import Side

# What it was tried with. Older ones may open the folder, and embed in another way: so control
# tokens in a query would be obeyed.
REQUIREMENTS = {"sentence-transformers": ">=6.2", "transformers": ">=5.23"}
_BASE = "sentence_transformers.base.modules"
_TRANSFORMER = f"{_BASE}.transformer.Transformer"
_ROUTER = f"{_BASE}.router.Router"
_NORMALIZE = f"{_BASE}.normalize.Normalize"
_MASK = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"


def module_files(
    heads: Heads, side: Side | None, hidden_state: int | None, image_token_id: int
) -> dict[str, Content]:
    """The modules: the backbone, the heads, the tokens that count, unit length.

    Args:
        heads: over the backbone's own features.
        side: whose heads; None for both.
        hidden_state: which one they take, counted from 0; None for the last.
        image_token_id: of a page, the tokens that count.
    """
    folders, files = _heads_files(heads, side)
    mask, normalize = f"{len(folders) + 1}_MultiVectorMask", f"{len(folders) + 2}_Normalize"
    order = [("", _TRANSFORMER), *folders, (mask, _MASK), (normalize, _NORMALIZE)]
    keep = {
        "skiplist_words": [],
        "skiplist_tasks": ["document"],
        "keep_only_token_ids": [image_token_id],
    }
    names = {"module_input_name": TOKENS, "module_output_name": TOKENS}
    return {
        "modules.json": document(
            [
                {"idx": number, "name": str(number), "path": path, "type": kind}
                for number, (path, kind) in enumerate(order)
            ]
        ),
        "sentence_bert_config.json": document(_backbone_call(hidden_state)),
        f"{mask}/config.json": document(keep),
        f"{normalize}/config.json": document(names),
        **files,
    }


def encoder_file(query_prefix: str, versions: Mapping[str, str]) -> dict[str, Content]:
    """What kind of model it is, its prompts, and how scores are made.

    Args:
        query_prefix: what comes before every query.
        versions: of the packages that the run was made with.
    """
    names = {"transformers": "transformers", "pytorch": "torch"}  # theirs and ours
    config = {
        "model_type": "MultiVectorEncoder",
        "__version__": {name: versions[ours] for name, ours in names.items() if ours in versions},
        "prompts": {"query": query_prefix, "document": ""},
        "default_prompt_name": None,
        "similarity_fn_name": "meanmaxsim",  # ours divides by the number of query tokens, too
        "requirements": REQUIREMENTS,
    }
    return {"config_sentence_transformers.json": document(config)}


def _backbone_call(hidden_state: int | None) -> dict[str, Any]:
    """How sentence-transformers calls the backbone, and what it takes from it."""
    output = "last_hidden_state" if hidden_state is None else ["hidden_states", hidden_state]
    call = {"method": "forward", "method_output_name": output}
    return {
        "transformer_task": "feature-extraction",
        "modality_config": {
            "text": call,
            "image": call,
            "message": {**call, "format": "structured"},
        },
        "module_output_name": TOKENS,
        "processing_kwargs": {
            "text": {"padding_side": "right", "truncation": False, "add_special_tokens": False},
            "chat_template": {"sanitize_control_tokens": True},
        },
        "model_kwargs": {"dtype": "float32"},  # weights in bfloat16 too: the heads take float32
        "unpad_inputs": False,
    }


def _heads_files(
    heads: Heads, side: Side | None
) -> tuple[list[tuple[str, str]], dict[str, Content]]:
    """The folders of the heads' modules with their types, and the files in them."""
    if side is None and not dense.is_shared(heads):
        pages = dense.layers_of(heads, "page")
        routes = {"query": dense.layers_of(heads, "query"), "document": pages}
        return [("1_Router", _ROUTER)], _router_files(routes)
    layers = dense.layers_of(heads, side or "page")
    folders = [(f"{number}_Dense", dense.MODULE) for number in range(1, len(layers) + 1)]
    files: dict[str, Content] = {}
    for (folder, _), layer in zip(folders, layers, strict=True):
        files |= layer.files(folder)
    return folders, files


def _router_files(routes: Mapping[str, Sequence[Dense]]) -> dict[str, Content]:
    structure = {
        route: [f"{route}_{number}_Dense" for number in range(len(layers))]
        for route, layers in routes.items()
    }
    config = {
        "types": {name: dense.MODULE for names in structure.values() for name in names},
        "structure": structure,
        "parameters": {
            "default_route": "document",
            "allow_empty_key": True,
            "route_mappings": {},
        },
    }
    files: dict[str, Content] = {"1_Router/router_config.json": document(config)}
    for route, layers in routes.items():
        for name, layer in zip(structure[route], layers, strict=True):
            files |= layer.files(f"1_Router/{name}")
    return files
