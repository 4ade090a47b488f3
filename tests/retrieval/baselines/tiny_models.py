"""Small random models of sentence-transformers, saved as published ones are."""

import string
from pathlib import Path

import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
)

PROMPTS = {"query": "ask: ", "document": "page: "}


def single_vector(folder: Path, similarity: str = "cosine") -> str:
    """A SentenceTransformer: mean pooling, prompts, vectors that are not normalised."""
    reader = _reader(folder)
    pooling = Pooling(reader.get_embedding_dimension(), "mean")
    model = SentenceTransformer(
        modules=[reader, pooling], prompts=PROMPTS, similarity_fn_name=similarity, device="cpu"
    )
    model.save_pretrained(str(folder), create_model_card=False)
    return str(folder)


def multi_vector(folder: Path, similarity: str = "maxsim") -> str:
    """A MultiVectorEncoder of 8 numbers a token."""
    reader = _reader(folder)
    names = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    model = MultiVectorEncoder(
        modules=[
            reader,
            Dense(reader.get_embedding_dimension(), 8, bias=False, **names),
            MultiVectorMask(skiplist_words=["."]),
            Normalize(**names),
        ],
        prompts=PROMPTS,
        similarity_fn_name=similarity,
        device="cpu",
    )
    model.save_pretrained(str(folder), create_model_card=False)
    return str(folder)


def _reader(folder: Path) -> Transformer:
    """A BERT of one layer that knows letters and a few words."""
    base = folder.with_name(f"{folder.name}-base")
    words = _tokenizer(base)
    torch.manual_seed(5)
    size = {"hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 128}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(words), **size, **layers)).save_pretrained(base)
    return Transformer(str(base))


def sees_images(folder: Path) -> str:
    """A CLIP of one layer, as a SentenceTransformer of texts and images."""
    base = folder.with_name(f"{folder.name}-base")
    words = _tokenizer(base)
    torch.manual_seed(6)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    both = {**size, "num_attention_heads": 2, "projection_dim": 16}
    text = {**both, "vocab_size": len(words), "eos_token_id": 3, "bos_token_id": 2}
    config = CLIPConfig(
        text_config=text,
        vision_config={**both, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(base)
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    CLIPProcessor(images, words).save_pretrained(base)
    model = SentenceTransformer(modules=[Transformer(str(base))], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return str(folder)


def _tokenizer(base: Path) -> BertTokenizerFast:
    """One of letters, saved in `base`."""
    base.mkdir(parents=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in letters)]
    (base / "vocab.txt").write_text("\n".join(vocabulary))
    words = BertWordPieceTokenizer(str(base / "vocab.txt"))
    tokenizer = BertTokenizerFast(tokenizer_object=words._tokenizer)
    tokenizer.save_pretrained(base)
    return tokenizer
