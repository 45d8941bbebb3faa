"""People as a distribution: each has utilities of her own, and few comparisons tell which.

One person's utilities are a draw from a distribution over people, normal or a mixture of a few,
fitted to comparisons of which it is known who made them. A person's own comparisons then say where
in it she stands.
"""

from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.chosen import fit_people
from hidden_context.people.people import People
from hidden_context.people.person import Person

__all__ = ["Ballots", "People", "Person", "fit_people", "read_ballots"]
