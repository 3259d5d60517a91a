"""Looks for what explains the differences of one account. Pure: facts in, findings out.

A detector is a function of `Search` that gives candidates: a cause, with the amounts by which the books would change if
it were put right. The most specific ones come first. A candidate is taken when what is still unexplained becomes
nothing in every place it speaks of, so several causes may explain one difference, each its own part.
"""
