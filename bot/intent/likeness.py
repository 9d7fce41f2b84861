"""What a sentence is most like, where no pattern says it well: the nearest of the sentences kept beside each command.

The `~` lines of a sentence file are whole sentences as the patterns see them ("~ how is <symbol> do <time>"). Likeness is the cosine of
their words and pairs of words, rare ones weighing more; the seven nearest vote. It only ever answers or stops: no order is made of it.

Worked example: "any shorts left on the books" matches no pattern; its nearest kept sentences are those of `positions`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from bot.intent.patterns import kept_lines

NEAREST = 7
COMMONEST = 220  # a word or pair in more sentences than this tells nothing
Vector = dict[str, float]


@cache
def _kept() -> tuple[tuple[str, ...], dict[str, list[tuple[int, float]]], dict[str, float]]:
    """Labels of the kept sentences, for each feature the sentences that have it, and the weight of each feature."""
    labels, features = [], []
    for label, text in kept_lines():
        labels.append(label)
        features.append(_features(text.split()))
    using = Counter(feature for each in features for feature in each)
    weights = {feature: math.log(len(features) / count) for feature, count in using.items() if 1 < count <= COMMONEST}
    places: dict[str, list[tuple[int, float]]] = {}
    for place, each in enumerate(features):
        for feature, share in _vector(each, weights).items():
            places.setdefault(feature, []).append((place, share))
    return tuple(labels), places, weights


def _features(tags: Sequence[str]) -> frozenset[str]:
    ends = ["^", *tags, "$"]
    pairs = (f"{left} {right}" for left, right in pairwise(ends))
    skips = (f"{left} . {right}" for left, right in zip(tags, tags[2:], strict=False))
    return frozenset((*tags, *pairs, *skips))


def _vector(features: frozenset[str], weights: dict[str, float]) -> Vector:
    found = {feature: weights[feature] for feature in features if feature in weights}
    length = math.sqrt(sum(weight * weight for weight in found.values()))
    return {feature: weight / length for feature, weight in found.items()} if length else {}


def nearest_label(tags: Sequence[str]) -> tuple[str, float]:
    """The label that the nearest kept sentences speak for, and how sure that is, from 0 to 1; an empty label where none is near."""
    labels, places, weights = _kept()
    likeness: dict[int, float] = {}
    for feature, share in _vector(_features(tags), weights).items():
        for place, other in places[feature]:
            likeness[place] = likeness.get(place, 0.0) + share * other
    near = sorted(likeness.items(), key=lambda item: (-item[1], item[0]))[:NEAREST]
    votes: dict[str, float] = {}
    for place, value in near:
        votes[labels[place]] = votes.get(labels[place], 0.0) + value * value
    if not votes:
        return "", 0.0
    best = min(votes, key=lambda label: (-votes[label], label))
    return best, votes[best] / sum(votes.values()) * near[0][1]
