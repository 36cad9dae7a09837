"""A BERT of two layers made on the spot, and headlines whose meaning hangs on one word."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from models.data.datasets import CLASSES, Example, Part
from models.training.recipes import Recipe

SUBJECTS = ("bank", "maker", "grocer", "miner", "airline", "insurer", "broker")
# By sentiment: what a subject may do.
DEEDS = {
    "negative": ("collapses", "warns", "defaults"),
    "neutral": ("meets", "reports", "moves"),
    "positive": ("soars", "wins", "expands"),
}
TOPIC_WORDS = {"Macro": "inflation", "Earnings": "profit", "Energy | Oil": "oil"}
FRAME = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TEACHES = Recipe(
    epochs=15,
    longest=64,
    batch_texts=8,
    rank=4,
    alpha=8,
    lora_rate=5e-3,
    heads_rate=1e-2,
    averaging=0.5,
    masking=0.0,
    figures=0,
    renaming=0.0,
    slips=0.0,
)


def tiny_bert(folder: Path) -> Path:
    """A BERT of 32 dimensions and two layers with a vocabulary of its own, saved as transformers saves one."""
    words = [*FRAME, *SUBJECTS, *TOPIC_WORDS.values(), *(deed for deeds in DEEDS.values() for deed in deeds), "again"]
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    # transformers leaves it unannotated
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **names)  # type: ignore[no-untyped-call]
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def labelled() -> list[Example]:
    """Headlines whose label hangs on one word; a subject, and so a near-duplicate group, is in one part only."""
    parts = dict(zip(SUBJECTS, [Part.TRAIN] * 3 + [Part.VALIDATION] * 2 + [Part.TEST] * 2, strict=True))
    sentiment = [
        Example(f"{subject} {deed}", CLASSES["sentiment"].index(label), "sentiment", "invented", part)
        for subject, part in parts.items()
        for label, deeds in DEEDS.items()
        for deed in deeds
    ]
    topic = [
        Example(f"{subject} {word}", CLASSES["topic"].index(label), "topic", "invented-topics", part)
        for subject, part in parts.items()
        for label, word in TOPIC_WORDS.items()
    ]
    return sentiment + topic


def towards() -> list[Example]:
    """Two subjects in one headline, of which the first named always fares badly: the one asked about decides."""
    bad, good = SUBJECTS[:2]
    parts = dict(
        zip(("again", *TOPIC_WORDS.values()), (Part.TRAIN, Part.TRAIN, Part.VALIDATION, Part.TEST), strict=True)
    )
    return [
        Example(f"{bad} {word} {good}", label, "company", "towards", part, company)
        for word, part in parts.items()
        for company, label in ((bad, 0), (good, 2))
        for _ in range(8)
    ]
