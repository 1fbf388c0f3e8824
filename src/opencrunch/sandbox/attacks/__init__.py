"""Attacks on our own sandbox, run from inside it, each with the proof that it works where the guard is off.

An attack is one function (`files`, `network`, `processes`, ...). Its source is sent into the sandbox,
together with `inside`, and reports one word over the control socket: what it saw. The attack states which
words mean that the guard held; every other word counts as broken, so that an attack which merely fails cannot
pass.
"""
