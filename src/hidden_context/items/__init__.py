"""Distributions of utility for a fixed list of items, straight from comparisons: no text is read.

Statements that people vote on, systems in an arena, songs: each has its own raw outputs, fitted by
maximum likelihood. It is also how the families are tested against known truth.
"""

from hidden_context.items.fit import ItemFit, fit_items
from hidden_context.items.held_out import FamilyComparison, compare_families
from hidden_context.items.spread_check import SpreadCheck
from hidden_context.items.vote_account import VoteFile
from hidden_context.items.vote_files import read_vote_file
from hidden_context.items.votes import ItemComparisons, read_votes
from hidden_context.items.win_graph import WinGraph

__all__ = [
    "FamilyComparison",
    "ItemComparisons",
    "ItemFit",
    "SpreadCheck",
    "VoteFile",
    "WinGraph",
    "compare_families",
    "fit_items",
    "read_vote_file",
    "read_votes",
]
