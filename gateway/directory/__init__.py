"""Which contact has which addresses, and what of holds follows from that (R21).

`succession`, `mirroring` and `merging` are the rules, pure. `consequences` applies them to what comes in, `directory`
and `writer` keep the rest in a database. Nothing here is asked when a request is decided.
"""
