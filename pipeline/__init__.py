"""The pure core: bytes of a photo in, bytes of a portrait and the facts about it out."""
