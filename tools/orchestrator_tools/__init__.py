"""Ready tools for workers: plain LangChain tools that know nothing of the engine.

Each declares in its `metadata` the worst that it may do (`risk`), the change that a call makes outside (`effect`) and
the trust in its output (`trust`). A model's mistakes come back to the model as text that says what to do instead.
"""
