"""Keys of the bus: which of them a binding takes."""


def topic_matches(pattern: str, key: str) -> bool:
    """AMQP topic matching: `*` is one word, a final `#` any number of words."""
    words, wanted = key.split("."), pattern.split(".")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        words = words[: len(wanted)]
    return len(words) == len(wanted) and all(
        w in ("*", k) for w, k in zip(wanted, words, strict=True)
    )
