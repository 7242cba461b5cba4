"""Words of humans to threads, as rows that are read without LangGraph."""
