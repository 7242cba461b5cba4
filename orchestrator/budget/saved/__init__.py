"""What is stored of budgets, read without LangGraph."""
