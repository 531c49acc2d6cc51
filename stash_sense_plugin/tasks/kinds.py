"""What the vocabulary knows of tags besides their names, as the writer reads it."""

from collections import defaultdict

from stash_sense_plugin.errors import CatalogueError, VocabularyError
from stash_sense_plugin.records import folded
from stash_sense_plugin.stash.kinds import Kinds, TagKind
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.vocabulary import Label, Vocabulary


def tag_kinds(engine: Engine) -> Kinds:
    """Return the aliases and parents of the vocabulary's tags.

    Where its file is broken, tags have none: who decides by the file says what is wrong with it,
    and what undoes or sets up needs it not.
    """
    try:
        return kinds_of(engine.vocabulary())
    except (CatalogueError, VocabularyError):
        return {}


def kept_kinds(engine: Engine) -> Kinds:
    """Return the same for who only looks: read anew where one of its files has changed."""
    return engine.kept_by_files("kinds", lambda: tag_kinds(engine))


def never_of(engine: Engine) -> frozenset[str]:
    """Return what is never suggested, folded, by the setting and the vocabulary's file."""
    names = engine.settings.never_names
    try:
        return engine.vocabulary().never(names)
    except (CatalogueError, VocabularyError):
        return names


def kinds_of(vocabulary: Vocabulary) -> Kinds:
    """Return the aliases and parents of each tag, of all its labels together."""
    by_tag: defaultdict[str, list[Label]] = defaultdict(list)
    for label in vocabulary.labels.values():
        if label.aliases or label.parents:
            by_tag[folded(label.tag)].append(label)
    return {
        tag: TagKind(
            tuple(dict.fromkeys(alias for label in labels for alias in label.aliases)),
            tuple(dict.fromkeys(parent for label in labels for parent in label.parents)),
        )
        for tag, labels in by_tag.items()
    }
