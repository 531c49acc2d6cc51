"""The word lists of the catalogue's networks, as far as they are known without opening one."""

from collections.abc import Mapping, Sequence

from stash_sense_plugin.detectors.words import Words, is_left_out, read_words
from stash_sense_plugin.errors import ModelError
from stash_sense_plugin.inference.catalogue import Catalogue, ModelCard
from stash_sense_plugin.inference.download import Models

LEFT_OUT = 1.0
"""The floor of a category whose words are never told."""


def listed(models: Models, card: ModelCard) -> Words | None:
    """Return a network's words from its row, or from its list where that is here; None for none.

    Words that the network carries in itself are known only once it is open.
    """
    if "labels" in card.files:
        try:
            return read_words(models.path(card, "labels"), card)
        except ModelError:
            return None
    return Words(card.classes) if card.classes else None


def told(words: Words, card: ModelCard) -> tuple[str, ...]:
    """Return the words that a network is let say: no row lets one speak of age."""
    return tuple(
        word
        for index, word in enumerate(words.names)
        if not is_left_out(word, card)
        and all(card.floors.get(each, 0.0) < LEFT_OUT for each in words.in_category(index))
    )


def all_words(catalogue: Catalogue, models: Models) -> Mapping[str, Sequence[str]]:
    """Return by word list the words of the rows of which every word is to be suggested."""
    found: dict[str, list[str]] = {}
    for card in catalogue:
        if not (card.suggest_all and card.words):
            continue
        words = listed(models, card)
        if words is not None:
            found.setdefault(card.words, []).extend(told(words, card))
    return {source: tuple(dict.fromkeys(words)) for source, words in found.items()}
