"""Work that several processes share: which of them this is, and what they leave for each other."""

from hidden_context.shards.shard import Shard, UnmergedError, each_merged

__all__ = ["Shard", "UnmergedError", "each_merged"]
