"""Programs that run inside a sandbox, under the environment's own Python: standard library only.

Their source text is given to the interpreter; nothing here is imported by them or by the engine.
"""
