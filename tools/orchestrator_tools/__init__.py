"""Ready tools for workers: plain LangChain tools that know nothing of the engine.

Each says in its `metadata` what it may do (`risk`), whether a call changes anything outside (`effect`) and
whether its output may be taken for true (`trust`). What a model did wrong comes back to it as text that says
what to do instead.
"""
