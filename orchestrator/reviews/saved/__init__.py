"""What humans have told threads, as rows that are read without LangGraph."""
