"""Phrases by which refusals and hedges are known, and words of good and bad feeling.

Chosen for this project, for English; short, so that a reader can check what a feature counts.
"""

import re

REFUSAL = re.compile(
    r"\bI(?:['’]m| am) (?:sorry,? (?:but|I)|(?:not able|unable) to|not comfortable)|"
    r"\b(?:I|we) (?:can(?:['’]t|not| not)|won['’]t|will not|could not|couldn['’]t)\b"
    r"(?: \w+)? (?:help|assist|answer|provide|give|do|recommend|support|encourage|tell|share|"
    r"discuss|comply|condone|advise)\b|"
    r"\b(?:I|we) (?:must|have to) (?:decline|refuse)|\bI(?:['’]d| would) (?:rather|prefer) not\b|"
    r"\bagainst my (?:guidelines|programming|principles)|\bnot something I(?:['’]m| am| can)\b|"
    r"\bas an? (?:AI|artificial intelligence|language model)\b",
    re.IGNORECASE,
)
APOLOGY = re.compile(r"\b(?:sorry|apologi[sz]e|apolog(?:y|ies)|forgive me|regret)\b", re.IGNORECASE)
HEDGE = re.compile(
    r"\b(?:may|might|could|perhaps|maybe|possibly|probably|likely|unlikely|seems?|appears?|"
    r"generally|usually|often|sometimes|typically|somewhat|roughly|apparently|arguably|"
    r"I (?:think|believe|guess|suppose|assume)|it depends|not (?:sure|certain)|unclear|tends? to|"
    r"in (?:some|many|most) cases|to some extent|as far as I know)\b",
    re.IGNORECASE,
)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


GOOD = _words(
    """
    admire amazing beautiful benefit best better bright calm care celebrate charming cheerful
    comfort comfortable delicious delight delightful easy effective encourage enjoy enjoyable
    excellent excited exciting fair fantastic favorite fine free fresh friend friendly fun
    funny generous gentle glad good grateful great happiness happy healthy helpful honest hope
    hopeful improve incredible interesting joy kind laugh love lovely lucky nice optimistic
    passion peace perfect pleasant pleased pleasure positive proud relax reliable respect
    reward rich safe smart smile strong succeed success successful support sweet thank thanks
    trust useful valuable warm welcome win wise wonderful worth
    """
)
BAD = _words(
    """
    abuse afraid anger angry annoying anxious ashamed attack awful bad blame bored boring
    broken cruel damage danger dangerous dead death depressed difficult disaster disgusting
    dumb enemy evil fail failure fake fault fear fight foolish fraud guilty hard harm harmful
    hate hateful horrible hostile hurt idiot ignorant illegal immoral injury insult jealous
    kill lazy lie lonely lose loss mad mean miserable misery mistake nasty negative nervous
    offensive pain painful poor problem racist rage regret reject risk risky rude sad scared
    selfish sick sin steal stress stupid suffer terrible threat toxic trouble ugly unfair
    unhappy unhealthy unsafe upset useless victim violence violent weak worried worry worse
    worst wrong
    """
)
